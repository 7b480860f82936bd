namespace Tessera.Runtime.Tokens;

/// <summary>Text from outside, made Unicode: half a surrogate pair becomes U+FFFD. Inside, every string is whole and is cut between code points only.</summary>
static class Unicode
{
    public static string Whole(string text)
    {
        for (int at = 0; ; at++)
        {
            int next = text.AsSpan(at).IndexOfAnyInRange('\ud800', '\udfff');
            if (next < 0) return text;
            at += next;
            if (at + 1 == text.Length || !char.IsSurrogatePair(text[at], text[at + 1])) return Mend(text);
            at++;
        }
    }

    static string Mend(string text)
    {
        var whole = text.ToCharArray(); // U+FFFD is as long as a half
        for (int i = 0; i < whole.Length; i++)
        {
            if (!char.IsSurrogate(whole[i])) continue;
            if (i + 1 < whole.Length && char.IsSurrogatePair(whole[i], whole[i + 1])) i++;
            else whole[i] = '\ufffd';
        }
        return new string(whole);
    }
}
