using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Tessera.Runtime.Files;
using Tessera.Runtime.Tokens;

namespace Tessera.Bench;

/// <summary>MB/s of UTF-8, encoding a text and decoding its ids on one thread: the median of runs behind a first, which builds what is built once.</summary>
static class TokensReport
{
    const int SampleBytes = 1 << 20;

    /// <summary>Prose in several scripts, numbers, code, emoji; a counter keeps its copies from being all alike.</summary>
    const string Sample = """
        The panel product reads every weight once; at {0} tokens a second that is the whole of the memory's bandwidth, isn't it?
        Die Übersetzung von „Straßenbahnhaltestelle“ bleibt schwierig, wie Herr Müller am {0}. März schrieb.
        Le modèle répond en français, à l'été {0}, sans qu'on ait dû l'y forcer. ¿Y en español? Ya lo creo, señora.
        Быстрая коричневая лиса прыгает через ленивую собаку {0} раз подряд. Ο γρήγορος σκύλος τρέχει.
        人工智能模型在本地计算机上运行，{0}年以来速度提高了许多。東京タワーは高さ三百三十三メートルです。한국어 문장도 있습니다.
        النموذج يعمل على هذا الجهاز {0} مرة. המודל רץ כאן. नमूना यहाँ चलता है। ตัวอย่างภาษาไทยไม่มีช่องว่าง
            for (int i = 0; i < {0}; i++) sum += weights[i] * x[i];  // 👩‍👩‍👧 🧮 π ≈ 3.14159
        {{"name": "add", "arguments": {{"a": {0}, "b": -17.5e-3}}}}

        """;

    public static int Run(string? path, string? textPath, int runs, bool json)
    {
        if (path is null) throw new TesseraException("--model: expected a .tessera file");
        string text = textPath is null ? Mixed() : TextFile.Read(textPath);
        using var file = TiledFile.Open(path);
        byte[] packed = file.Span(file.Find("tokenizer")).ToArray();
        var watch = Stopwatch.StartNew();
        var tokenizer = Tokenizer.Unpack(packed);
        double load = watch.Elapsed.TotalSeconds;
        watch.Restart();
        int[] ids = tokenizer.Encode(text, added: false);
        double first = watch.Elapsed.TotalSeconds;
        double bytes = Encoding.UTF8.GetByteCount(text), encode = bytes / 1e6 / Median(runs, () => tokenizer.Encode(text, added: false)),
            decode = bytes / 1e6 / Median(runs, () => tokenizer.Decode(ids));
        if (json)
            Console.WriteLine(JsonSerializer.Serialize(new
            {
                model = file.Index.Name, bytes, tokens = ids.Length, load_ms = load * 1e3, first_ms = first * 1e3,
                encode_mb_s = encode, decode_mb_s = decode, runs,
            }));
        else
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"""
                {file.Index.Name}: {bytes / 1e6:f2} MB, {ids.Length} tokens; loaded in {load * 1e3:f0} ms, encoded for the first time in {first * 1e3:f0} ms
                encode {encode:f1} MB/s, decode {decode:f1} MB/s, median of {runs}
                """));
        return 0;
    }

    static double Median(int runs, Action action)
    {
        var seconds = new double[runs];
        for (int i = 0; i < runs; i++)
        {
            var watch = Stopwatch.StartNew();
            action();
            seconds[i] = watch.Elapsed.TotalSeconds;
        }
        Array.Sort(seconds);
        return seconds[runs / 2];
    }

    static string Mixed()
    {
        var text = new StringBuilder();
        for (int i = 0; text.Length < SampleBytes; i++) text.AppendFormat(CultureInfo.InvariantCulture, Sample, 1000 + 7919L * i % 90001);
        return text.ToString();
    }
}
