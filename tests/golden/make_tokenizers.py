#!/usr/bin/env python3
"""Writes tests/golden/text/: three small tokenizers trained with the real library on the sentences below, the older
files they can be saved as, and what the library makes of some 300 texts. Run from the repository root."""
import json
import os
import random

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

OUT = "tests/golden/text"
TRAINING = """
The pump stopped after the power failure and did not start again, although the fuse was replaced.
Customers write short messages: "it doesn't work", "can't log in", "they've lost my order", "we'll call back".
A small crack near the left bracket was found during the yearly inspection of bridge number 17.
Please check the oil level, tighten the four screws and report the reading in millimetres.
Every Tuesday the baker sold thirty loaves, seven cakes and one very large pie to the school.
Der Zug fährt um acht Uhr ab; die Tür schließt sich früher. Das Gerät läuft nicht, obwohl es geprüft wurde.
Le café était fermé à cause de la grève, mais l'hôtel a gardé nos bagages jusqu'à midi.
El niño encontró una piñata en el jardín; mañana volverá con su hermana menor.
現地で部品を確認したところ、ねじが緩んでいました。今日は雨なので作業を中止します。
機械の音が大きいです。点検をお願いします。電源を入れても動きません。
Насос остановился после отключения электричества и больше не запускался.
Η αντλία σταμάτησε μετά τη διακοπή ρεματος. Οδός, δρόμος, τελικός.
पंप बिजली जाने के बाद बंद हो गया। कृपया जाँच करें।
توقفت المضخة بعد انقطاع التيار الكهربائي. המשאבה נעצרה לאחר הפסקת החשמל.
펌프가 정전 후 멈췄습니다. 다시 확인해 주세요. 2024 12 31 3.14 1000
""".strip().split("\n")

TEXTS = [
    "", " ", "  ", "\n", "\t \r\n", "a", "A", "Hello, world!", "hello world", " hello", "hello ", "Hello   world", "don't",
    "Don't you think they've said we'll go? I'm sure he'd agree it's fine.", "DON'T WE'LL", "'s 't 're", "''s", "x's's",
    "1234567890", "3.14159", "1,000,000", "a1b2c3", "v2.0-beta", "№5", "½ cup", "x²+y³", "10 %", "Ⅷ", "௧௨௩", "१२३", "一二三",
    "https://example.org/a?b=c&d=e#f", "name@example.com", "#tag @user", "C:\\dir\\file.txt", "snake_case camelCase",
    "café naïve résumé", "cafe\u0301 nai\u0308ve", "CAFÉ", "ÀÉÎÕÜ", "Straße STRASSE ẞ", "Łódź", "Dvořák", "Ångström Å Å",
    "İstanbul ISPARTA ıI", "ŞĞÜÖÇ", "ΟΔΥΣΣΕΥΣ Οδυσσεύς ΣΑΣ", "Ἀθῆναι", "Привет, мир! Ёлка й", "Київ ґанок", "Жњ Ќ",
    "გამარჯობა ᲒᲐᲛᲐᲠᲯᲝᲑᲐ", "Բարեւ Ձեզ", "שָׁלוֹם עוֹלָם", "שלום", "العَرَبِيَّة", "مرحبا بالعالم", "فارسی: می‌خواهم", "اردو ہے",
    "नमस्ते दुनिया", "क्षत्रिय ज़", "বাংলা ভাষা", "ਪੰਜਾਬੀ", "ગુજરાતી", "தமிழ் மொழி", "తెలుగు", "ಕನ್ನಡ", "മലയാളം", "සිංහල",
    "ภาษาไทยไม่มีช่องว่าง", "ลาว ລາວ", "မြန်မာ", "ភាសាខ្មែរ", "བོད་ཡིག", "አማርኛ ቋንቋ።", "ᏣᎳᎩ ꭰꮃ", "ᚠᚢᚦ", "Монгол ᠮᠣᠩᠭᠣᠯ",
    "日本語のテキスト。", "現地で確認", "漢字とかなカナ", "ﾊﾝｶｸ ｶﾞ", "がぎぐ か\u3099", "東京都2024年", "中文字符,标点。", "㐀㐁𠀀𪜀", "豈更車",
    "한국어 문장입니다", "각 \u1100\u1161\u11a8", "ㄱㄴㄷ", "ㄅㄆㄇ", "ꦗꦮ", "𐍈𐌰𐌽", "𝐁𝐨𝐥𝐝 𝔉𝔯𝔞𝔨", "ＦＵＬＬ width １２３", "ﬁ ﬂ ﬀ", "™ © ®",
    "😀", "😀😃😄", "I 💙 U", "👩‍👩‍👧‍👦", "👍🏽", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🇯🇵🇫🇷", "❤️", "☺︎", "🤷‍♀️ ok", "1️⃣", "\U0001fae0", "\U0001f9ff x",
    "a\u0301\u0323", "a\u0323\u0301", "q\u0307\u0323", "\u0301", "x\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301", "\u08e3\u08d4",
    "a\u08d4\u0316b", "a\u1dce\u0328", "\u0344", "\u1f71\u0345", "Z̷a̶l̵g̴o̶", "e\u20dd", "ก็", "\u0b95\u0bcd", "\ufb2c", "\u2126 \u212b",
    "\u2e42\u2e44", "\u2e3a", "\ua7cb\ua7ce", "\u1fad\u1fbc", "«quoted»", "“curly” ‘quotes’", "—dash–dash-", "…", "¿qué?", "¡ya!",
    "a\u00a0b", "a\u3000b", "a\u2003b\u2028c\u2029d", "a\u200bb", "a\u200db", "\ufeffbom", "a\u00adb", "a\u0085b", "a\x0bb\x0cc", "a\x00b",
    "a\x01\x02b", "a\x7fb", "\ue000\uf8ff", "\U000f0000", "\U0010ffff", "\ufffd", "a\ufffdb", "\ufffe\uffff", "\u0378", "\u0600\u06dd",
    "\u180e", "\u2060", "\U000e0001\U000e0020", "\u202eRTL\u202c", "left עברית right", "(عربي) [x]", "a\u200fb", "1\u06f2\u0663",
    "$100 €5 £3 ¥2 ₹1 ₿", "+ - * / = < > | ~ ^ `", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "a.b,c;d:e!f?g", "...---...", "\\n \\t",
    "[CLS]", "[MASK]", "a[MASK]b", " [MASK] ", "[mask]", "[SEP] [SEP]", "the [UNK] token", "[ MASK ]", "[PAD][PAD]", "[MASK",
    "<mask>", "a <mask> b", "  <mask>  ", "a<mask>b", "<url>", "see <URL> now", "xurl", "<url", "ｕｒｌ", "Größe", "grösse", "GRÖSSE!",
    "<|endoftext|>", "a<|endoftext|>b", "<|endoftext|><|endoftext|>", "<|ENDOFTEXT|>", "<|endoftext", "x <|endoftext|> y",
    "supercalifragilisticexpialidocious", "antidisestablishmentarianism", "pumps pumping pumped unpumped", "thethethe",
    "x" * 99, "x" * 100, "x" * 101, "ab" * 60, "é" * 100, "é" * 101, "日" * 30, " " * 50, "a" + " " * 20 + "b", "\n" * 10 + "a",
    "a \n b", "a\n\nb", "a\n b", "a \nb", "\n a", " \n", "a\t\tb", "a\r\nb", " a  b   c    ", "word\u3000\u3000word", "a\u00a0\u00a0b",
    "The quick brown fox jumps over the lazy dog. " * 6, "pump " * 80, "機械の点検。" * 12, "can't " * 20,
    "Tom & Jerry — “it's 5 o'clock”", "rock 'n' roll", "'tis the season", "y'all'd've", "o'er", "it’s we’re", "l'hôtel d'été",
    "e.g. i.e. U.S.A.", "A.B.C", "3rd 21st", "10:30pm", "2024-12-31T23:59:59Z", "+81-3-1234-5678", "100km/h", "5'11\"", "50°C ±2",
    "pH=7.0", "H₂O CO₂", "E=mc²", "∀x∈ℝ: x²≥0", "→←↑↓", "█▓▒░", "♠♥♦♣", "♪♫", "①②③", "㍿㈱", "ⅠⅡⅢ", "ʰʷʲ", "ɐɓɔ",
    "Tiếng Việt có dấu", "Čeština žluťoučký kůň", "Polski zażółć gęślą jaźń", "Română țară", "Íslenska þorn ð", "Malti ħobż",
    "Hawaiʻi", "O‘zbek", "Türkçe öğün", "Esperanto ĉapelo", "Català l·l", "Gàidhlig", "Cymraeg tŷ", "Suomi äö", "Magyar őű",
]
BROKEN = ["ff", "61ff62", "c3", "61c3", "c328", "e282", "e28261", "e2e282ac", "f09f98", "f09f9861", "eda080", "f4908080", "80", "808080",
          "c0af", "e08080", "fe20ff", "61e3813fe38182", "5b4d41534bff5d", "20ff20", "f09f9880f09f98", "c3a9c3", "e38080e380"]


def save(tokenizer, folder):
    os.makedirs(folder, exist_ok=True)
    text = json.loads(tokenizer.to_str())
    with open(f"{folder}/tokenizer.json", "w", encoding="utf-8") as f:
        json.dump(text, f, ensure_ascii=False, separators=(",", ":"))
    return text


def bert(lowercase, size):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=None if lowercase else False)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.train_from_iterator(TRAINING, trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    return t


def gpt2(size):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.post_processor = processors.ByteLevel(trim_offsets=True)
    t.train_from_iterator(TRAINING, trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


def byte_places(raw):
    """The byte where each character of the mended text begins, and the end."""
    text, places, at = raw.decode("utf-8", "replace"), [], 0
    for c in text:
        places.append(at)
        n = len(c.encode())
        if raw[at:at + n] == c.encode():
            at += n
        else:  # a maximal ill-formed part: the longest start that is mended to one character
            n = 1
            while at + n < len(raw) and len(raw[at:at + n + 1].decode("utf-8", "replace")) == 1 and n < 3:
                n += 1
            at += n
    assert at == len(raw), (raw, text)
    return places + [at]


def main():
    uncased = bert(True, 700)
    uncased.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    uncased.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    uncased.add_tokens([AddedToken("<url>", rstrip=True), AddedToken("Größe", single_word=True)])
    cased = bert(False, 700)
    cased.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizers = {"bert_uncased": uncased, "bert_cased": cased, "gpt2": gpt2(800)}
    described = {name: save(t, f"{OUT}/{name}") for name, t in tokenizers.items()}

    # the older forms of two of them; transformers must read them as we say it does
    os.makedirs(f"{OUT}/vocab_txt", exist_ok=True)
    vocab = described["bert_cased"]["model"]["vocab"]
    with open(f"{OUT}/vocab_txt/vocab.txt", "w", encoding="utf-8") as f:
        f.writelines(w + "\n" for w in sorted(vocab, key=vocab.get))
    with open(f"{OUT}/vocab_txt/tokenizer_config.json", "w") as f:
        json.dump({"do_lower_case": False, "strip_accents": False, "tokenizer_class": "BertTokenizer"}, f)
    os.makedirs(f"{OUT}/vocab_merges", exist_ok=True)
    model = described["gpt2"]["model"]
    with open(f"{OUT}/vocab_merges/vocab.json", "w", encoding="utf-8") as f:
        json.dump(model["vocab"], f, ensure_ascii=False, separators=(",", ":"))
    with open(f"{OUT}/vocab_merges/merges.txt", "w", encoding="utf-8") as f:
        f.writelines(["#version: 0.2\n"] + [f"{a} {b}\n" for a, b in model["merges"]])
    older = {}
    for folder, kind, like in (("vocab_txt", "bert", "bert_cased"), ("vocab_merges", "gpt2", "gpt2")):
        with open(f"{OUT}/{folder}/config.json", "w") as f:
            json.dump({"model_type": kind}, f)
        older[like] = AutoTokenizer.from_pretrained(f"{OUT}/{folder}")
        os.remove(f"{OUT}/{folder}/config.json")

    rng = random.Random(5)
    raws = [t.encode() for t in TEXTS] + [bytes.fromhex(h) for h in BROKEN]
    with open(f"{OUT}/expected.jsonl", "w", encoding="utf-8") as f:
        for i, raw in enumerate(raws):
            text = raw.decode("utf-8", "replace")
            row = {"text": text} if text.encode() == raw and "\x00" not in text else {"hex": raw.hex()}
            if rng.random() < .25:
                row["limit"] = rng.choice([2, 3, 5, 8, 12])
            for name, t in tokenizers.items():
                t.enable_truncation(row["limit"]) if "limit" in row else t.no_truncation()
                e = t.encode(text)
                row[name] = e.ids
                if e.overflowing:
                    row.setdefault("cut", []).append(name)
                if i % 4 == 0 or "hex" in row:
                    p = byte_places(raw)
                    row[name + "_offsets"] = [x for (b, c), m in zip(e.offsets, e.special_tokens_mask)
                                              for x in ((0, 0) if m else (p[b], p[c]))]
                if name in older and "limit" not in row:
                    assert older[name](text)["input_ids"] == e.ids, (name, text)
            f.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
