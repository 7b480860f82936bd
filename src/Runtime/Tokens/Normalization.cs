using System.Text;

namespace Tessera.Runtime.Tokens;

/// <summary>Under InvariantGlobalization .NET's NFC returns its input and says nothing; then tokens would be silently wrong.</summary>
static class Normalization
{
    static readonly bool works = "e\u0301".Normalize(NormalizationForm.FormC) == "\u00e9";

    public static void Require()
    {
        if (!works) throw new TesseraException("Unicode normalisation does not work in this process: build without InvariantGlobalization, and install ICU (libicu) where it is missing");
    }
}
