namespace Tessera.Tools;

/// <summary>The backends that a command line offers.</summary>
static class Devices
{
    public static void Register()
    {
    }
}
