"""Golden files of the data floor: texts in every encoding read, and digests of whole code tables, all from
Python's own codecs; .npy files from NumPy. Run from tests/golden; needs numpy (requirements.txt)."""

import gzip
import hashlib
import pathlib

import numpy as np

OUT = pathlib.Path("data")
OUT.mkdir(exist_ok=True)

JAPANESE = [
    ("この製品はとても使いやすいです。", "良"),
    ("配送が遅く、箱も壊れていた。", "悪"),
    ("値段のわりに、よくできていると思います。", "良"),
    ("サポートの電話が\nつながりません。", "悪"),
    ("ソフトウェアの表示が遅いのは困る。", "悪"),
]
SIGNS = [("①から⑩まで、㈱の表示と～と－が正しい。", "良"), ("髙橋さんと﨑山さんのﾊﾝｶｸ文字。", "良")]
KANJI = [("製品", "良"), ("配送", "悪"), ("値段", "良"), ("表示", "悪"), ("品質", "良"), ("説明書", "悪")]
HALF = [("ﾊﾝｶｸ ｶﾅ ﾀﾞｹ ﾉ ﾒｲｻｲ", "A"), ("ﾌﾘｺﾐ ﾃｽｳﾘｮｳ", "B"), ("ﾃﾞﾝｷ ﾀﾞｲｷﾝ", "A")]
FRENCH = [
    ("Le café était très agréable, même à l’aube.", "bon"),
    ("Déçu : la qualité n’est pas là… “hélas”", "mauvais"),
    ("Garçon, où est la forêt ? Ça coûte 5 €", "bon"),
]
GERMAN = [("Schöne Grüße aus Köln, äußerst günstig", "gut"), ("Für die Füße zu groß, täglich Ärger", "schlecht")]
SPANISH = [("¡Qué mañana tan fría, señor Muñoz!", "si"), ("El niño comió jamón; ¿después qué?", "no")]


def csv(rows, head="text,label"):
    lines = [head] + ['"%s",%s' % (text.replace('"', '""'), label) for text, label in rows]
    return "\r\n".join(lines) + "\r\n"


def save(name, data):
    (OUT / name).write_bytes(data)


save("japanese_utf8.csv", csv(JAPANESE + SIGNS).encode("utf-8"))
save("japanese_bom.csv", csv(JAPANESE + SIGNS).encode("utf-8-sig"))
save("japanese_cp932.csv", csv(JAPANESE + SIGNS).encode("cp932"))
save("plain_utf8.csv", csv(JAPANESE).encode("utf-8"))
save("plain_eucjp.csv", csv(JAPANESE).encode("euc_jp"))
save("kanji_utf8.csv", csv(KANJI).encode("utf-8"))
save("kanji_cp932.csv", csv(KANJI).encode("cp932"))
save("kanji_eucjp.csv", csv(KANJI).encode("euc_jp"))
save("half_utf8.csv", csv(HALF).encode("utf-8"))
save("half_cp932.csv", csv(HALF).encode("cp932"))
for name, rows in (("french", FRENCH), ("german", GERMAN), ("spanish", SPANISH)):
    save(name + "_utf8.csv", csv(rows).encode("utf-8"))
    save(name + "_latin1.csv", csv(rows).encode("cp1252"))
save("two_members.csv.gz", gzip.compress(b"text,label\none,0\n", mtime=0) + gzip.compress(b"two,1\n", mtime=0))


def digest(table):
    lines = "".join("%x %x\n" % pair for pair in sorted(table.items()))
    return hashlib.sha256(lines.encode()).hexdigest(), len(table)


def decoded(data, codec):
    try:
        text = data.decode(codec)
    except UnicodeDecodeError:
        return None
    return ord(text) if len(text) == 1 else None


# Every two-byte code of CP932.
cp932 = {}
for lead in list(range(0x81, 0xA0)) + list(range(0xE0, 0xFD)):
    for trail in range(0x40, 0xFD):
        point = decoded(bytes([lead, trail]), "cp932")
        if point is not None:
            cp932[lead << 8 | trail] = point

# JIS X 0208 in EUC-JP, with the code points that CP932 has for the same characters: through Python's
# Shift_JIS, so without the arithmetic that the C code uses.
euc = {}
for lead in range(0xA1, 0xFF):
    for trail in range(0xA1, 0xFF):
        point = decoded(bytes([lead, trail]), "euc_jp")
        if point is None:
            continue
        sjis = "\\" if point == 0xFF3C else chr(point)
        same = bytes([0x81, 0x5F]) if point == 0xFF3C else sjis.encode("shift_jis")
        euc[lead << 8 | trail] = decoded(same, "cp932")

# JIS X 0212, three bytes.
jisx0212 = {}
for lead in range(0xA1, 0xFF):
    for trail in range(0xA1, 0xFF):
        point = decoded(bytes([0x8F, lead, trail]), "euc_jp")
        if point is not None:
            jisx0212[lead << 8 | trail] = point

with open(OUT / "tables.txt", "w") as f:
    for name, table in (("cp932", cp932), ("euc_jp", euc), ("jisx0212", jisx0212)):
        f.write("%s %s %d\n" % ((name,) + digest(table)))

matrix = np.array([[1.5, -2.25, 3], [0.1, 65504, -0.0]], dtype="<f8")
for name, dtype in (("f2_le", "<f2"), ("f2_be", ">f2"), ("f4_le", "<f4"), ("f4_be", ">f4"), ("f8_le", "<f8"), ("f8_be", ">f8")):
    np.save(OUT / (name + ".npy"), matrix.astype(dtype))
np.save(OUT / "fortran.npy", np.asfortranarray(matrix.astype("<f4")))
for version in ((2, 0), (3, 0)):
    with open(OUT / ("version%d.npy" % version[0]), "wb") as f:
        np.lib.format.write_array(f, matrix.astype("<f4"), version=version)
np.save(OUT / "one_dim.npy", np.zeros(3, "<f4"))
np.save(OUT / "three_dim.npy", np.zeros((2, 3, 4), "<f4"))
np.save(OUT / "integers.npy", np.zeros((2, 3), "<i8"))
np.save(OUT / "structured.npy", np.zeros(2, [("a", "<f4"), ("b", "<i4")]))
bad = matrix.astype("<f4")
bad[0, 2] = np.nan
bad[1, 1] = np.inf
np.save(OUT / "nan.npy", np.asfortranarray(bad))
np.save(OUT / "beyond.npy", np.array([[1, 2], [3, 1e300]], "<f8"))
