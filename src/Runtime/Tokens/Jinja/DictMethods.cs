namespace Tessera.Runtime.Tokens.Jinja;

/// <summary>The methods of Python's dictionaries and lists that templates call.</summary>
static class DictMethods
{
    static readonly Signature none = new(""), get = new("key default?"), one = new("value");

    public static bool Has(string name) => name is "items" or "keys" or "values" or "get" or "copy";

    public static object? Call(Meter meter, Dict of, string name, Arguments arguments)
    {
        var call = (name == "get" ? get : none).Bind(meter, name, of, arguments);
        switch (name)
        {
            case "items": return Pairs(meter, of);
            case "get":
                object? key = call.At(0);
                return key is not null and not Undefined && of.TryGetValue(Values.Key(meter, key), out object? value) ? value : call.At(1);
            case "copy":
                meter.Entries(of.Count);
                var copy = new Dict();
                foreach (var (field, item) in of) copy[field] = item;
                return copy;
            default:
                meter.List(of.Count);
                return name == "keys" ? new List<object?>(of.Keys) : new List<object?>(of.Values);
        }
    }

    public static List<object?> Pairs(Meter meter, Dict dict)
    {
        meter.List(dict.Count);
        meter.Bytes(120L * dict.Count);
        var pairs = new List<object?>(dict.Count);
        foreach (var (key, value) in dict) pairs.Add(new Tuple { key, value });
        return pairs;
    }

    public static bool ListHas(string name) => name is "append" or "copy" or "count" or "index";

    public static object? ListCall(Meter meter, List<object?> of, string name, Arguments arguments)
    {
        var call = (name == "copy" ? none : one).Bind(meter, name, of, arguments);
        switch (name)
        {
            case "append":
                if (of is Tuple) throw meter.Wrong("append wants a list, found a tuple");
                meter.List(1);
                of.Add(call.At(0));
                return null;
            case "copy":
                meter.List(of.Count);
                return new List<object?>(of);
            case "count":
                long count = 0;
                foreach (object? item in of)
                    if (Comparison.Same(meter, item, call.At(0))) count++;
                return count;
            default:
                for (int i = 0; i < of.Count; i++)
                    if (Comparison.Same(meter, of[i], call.At(0))) return (long)i;
                throw meter.Wrong("index: the value is not in the list");
        }
    }
}
