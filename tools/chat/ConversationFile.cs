using System.Text.Json;
using Tessera.Runtime.Files;

namespace Tessera.Chat;

/// <summary>A conversation as a file of JSON: a list of messages, in the shape that everybody uses.</summary>
static class ConversationFile
{
    const long MaxBytes = 64 << 20;

    /// <summary>Writes all or nothing: a file of that name is replaced once the new one is whole.</summary>
    /// <exception cref="TesseraException">It cannot be written.</exception>
    public static void Save(string path, IReadOnlyList<ChatMessage> messages)
    {
        byte[] json = ChatMessages.ToJson(messages);
        using var file = new PartialFile(path);
        try
        {
            RandomAccess.Write(file.Handle, json, 0);
            file.Finish();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new TesseraException($"{path}: cannot be written: {e.Message}", e); }
    }

    /// <exception cref="TesseraException">It cannot be read, or holds no conversation.</exception>
    public static List<ChatMessage> Load(string path)
    {
        byte[] json;
        try
        {
            using var file = RegularFile.Open(path);
            long length = RandomAccess.GetLength(file);
            if (length > MaxBytes) throw new TesseraException($"{path}: expected at most {MaxBytes >> 20} MiB of messages, found {length >> 20} MiB");
            json = new byte[length];
            int read = 0;
            for (int part; read < json.Length && (part = RandomAccess.Read(file, json.AsSpan(read), read)) > 0; read += part) { }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw new TesseraException($"{path}: cannot be read: {e.Message}", e); }
        try
        {
            using var document = JsonDocument.Parse(json);
            return ChatMessages.FromJson(document.RootElement);
        }
        catch (JsonException e) { throw new TesseraException($"{path}: expected messages as JSON: {e.Message.ReplaceLineEndings(" ")}", e); }
        catch (TesseraException e) { throw new TesseraException($"{path}: {e.Message}", e); }
    }
}
