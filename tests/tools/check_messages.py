#!/usr/bin/env python3
"""Holds the Japanese message tables against the sources: every format handed to gn__fail has a translation,
no translation is left over, and both sides of a translation take the same arguments."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
STRING = r'"(?:[^"\\]|\\.)*"'
MACROS = {"PRId64": '"ld"', "PRIu64": '"lu"', "PRIu32": '"u"'}


def joined(literals):
    return "".join(s[1:-1] for s in re.findall(STRING, literals))


def formats_in(source):
    for m in re.finditer(r"\bgn__fail(_at)?\s*\(", source):
        depth, i, start, args = 1, m.end(), m.end(), []
        in_string = False
        while depth:
            c = source[i]
            if in_string:
                if c == "\\":
                    i += 1
                elif c == '"':
                    in_string = False
            elif c == '"':
                in_string = True
            elif c in "([{":
                depth += 1
            elif c in ")]}":
                depth -= 1
            if (c == "," and depth == 1 and not in_string) or depth == 0:
                args.append(source[start:i])
                start = i + 1
            i += 1
        at = 3 if m.group(1) else 2
        if len(args) > at:
            text = args[at]
            for name, value in MACROS.items():
                text = text.replace(name, value)
            if '"' in text:
                if "?" in re.sub(STRING, "", text):
                    yield from (s[1:-1] for s in re.findall(STRING, text))
                else:
                    yield joined(text)


def conversions(text):
    found, order = [], 0
    for m in re.finditer(r"%(?:(\d+)\$)?([-+ #0]*)(\d+|\*)?(?:\.(\d+|\*))?(hh|h|ll|l|z|j|t|L)?([diouxXeEfgGcsp%])", text):
        if m.group(6) == "%":
            continue
        order += 1
        if m.group(4) == "*":
            found.append((order, "*"))
            order += 1
        found.append((int(m.group(1)) if m.group(1) else order, (m.group(5) or "") + m.group(6)))
    return sorted(found)


def main():
    bad = []
    table = {}
    for path in sorted((ROOT / "src/core/messages").glob("*.def")):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.S)
        for name, value in MACROS.items():
            text = text.replace(name, value)
        for m in re.finditer(rf"M\(((?:\s*{STRING})+)\s*,((?:\s*{STRING})+)\s*\)", text):
            en, ja = joined(m.group(1)), joined(m.group(2))
            table[en] = path.name
            if conversions(en) != conversions(ja):
                bad.append(f"{path.name}: other arguments in the translation of: {en}")
    used = set()
    for path in sorted((ROOT / "src").rglob("*.c")):
        source = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.S)
        for text in formats_in(source):
            used.add(text)
            if text not in table:
                bad.append(f"{path.relative_to(ROOT)}: no Japanese for: {text}")
    every = "".join(re.sub(r'"\s*"', "", p.read_text(encoding="utf-8")) for p in (ROOT / "src").rglob("*.c"))
    for name, value in MACROS.items():
        every = every.replace('" ' + name + ' "', value[1:-1])
    for text, where in table.items():
        if text not in used and text not in every:
            bad.append(f"{where}: no source says: {text}")
    print("\n".join(bad) if bad else f"messages: {len(table)} translations, all in use")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
