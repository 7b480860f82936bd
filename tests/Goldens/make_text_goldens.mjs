// Strings encoded and conversations rendered by Hugging Face's own JavaScript, from a folder's tokenizer.json and tokenizer_config.json:
//   npm install @huggingface/jinja@0.5.11 @huggingface/tokenizers@0.2.0
//   node make_text_goldens.mjs [--write] FOLDER ...
// compares with golden-strings.json and golden-chat.json, or with --write gives each "text" of the former, and "messages" and "options" of the latter, anew.
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";
import { createRequire } from "node:module";

// The packages of the folder where one stands.
const require = createRequire(path.join(process.cwd(), "index.js"));
const { Template } = require("@huggingface/jinja"), { Tokenizer } = require("@huggingface/tokenizers");

const json = file => JSON.parse(fs.readFileSync(file, "utf8"));

function goldens(folder) {
  const plain = path.join(folder, "tokenizer.json");
  const tokenizer = fs.existsSync(plain) ? json(plain) : JSON.parse(zlib.brotliDecompressSync(fs.readFileSync(`${plain}.br`)));
  const config = json(path.join(folder, "tokenizer_config.json"));
  const encoder = new Tokenizer(tokenizer, config), template = new Template(config.chat_template);
  const encode = text => Array.from(encoder.encode(text, { add_special_tokens: false }).ids, Number);
  return {
    "golden-strings.json": one => {
      const ids = encode(one.text), decoded = ids.length ? encoder.decode(ids, { skip_special_tokens: false, clean_up_tokenization_spaces: false }) : "";
      return { kind: one.kind, text: one.text, ids, ...(decoded === one.text ? {} : { decoded }) };
    },
    "golden-chat.json": one => {
      const text = template.render({ messages: one.messages, ...one.options });
      return { name: one.name, messages: one.messages, options: one.options, text, ids: encode(text) };
    },
  };
}

const write = process.argv.includes("--write");
let different = 0;
for (const folder of process.argv.slice(2).filter(a => a !== "--write"))
  for (const [name, make] of Object.entries(goldens(folder))) {
    const file = path.join(folder, name), old = json(file), made = old.map(make);
    const other = old.filter((one, i) => JSON.stringify(one) !== JSON.stringify(made[i]));
    if (write) fs.writeFileSync(file, `[\n${made.map(one => JSON.stringify(one)).join(",\n")}\n]\n`);
    console.log(`${file}: ${old.length - other.length} of ${old.length} the same${other.length ? `; first other: ${other[0].name ?? JSON.stringify(other[0].text)}` : ""}`);
    different += other.length;
  }
process.exit(different && !write ? 1 : 0);
