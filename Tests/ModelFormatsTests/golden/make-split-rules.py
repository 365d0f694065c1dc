"""Writes split-rules.json: the pieces the reference library cuts tricky texts into under each supported split pattern.

Needs `pip install tokenizers`. Run in this folder.
"""

import json
import random
import unicodedata

from tokenizers import Regex, pre_tokenizers

CASED = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
RULES = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "llama3": CASED % r"\p{N}{1,3}",
    "qwen2": CASED % r"\p{N}",
}
TEXTS = [
    "Hello, world! It's 2024.", "'s 'S '\u017f '\u017ft x'\u017f", "DON'T don't I'LL i'll 'lL 'rE 'Ve 'M 'D '",
    "12345 6,789.01 1234567 \u00bd\u2167\u0663\u0664\u0665\u0666 x12y", "  a  \n  b \r\n\r\n c\t\td \t e \n\n",
    "\u0085x\u00a0y\u1680z\u180ew\u2028v\u2029\u202f\u205f\u3000q\u200b\u000b\u000c\u001c\u001f k",
    "e\u0301 vs \u00e9 \u1100\u1161\u11a8 \u0958", "\u65e5\u672c\u8a9e \u30c6\u30ad\u30b9\u30c8\u3002\ud55c 123",
    "...!!!\n\n???\r\n  --- \n---", "a'b 's' ''s '''t '", "_foo_ $bar @x #1 /*c*/ \\n", "\n'\n's \r'S",
    " \u00a0x \u00a01 \u00a0!", "\u3000x \t1 \t! \n\u3000", "\U0001f642\U0001f469\u200d\U0001f467 \u00e9\U0001f642x",
    "", "a", " ", "\t", "\n", " \n", "\n ", "trailing   ", "   leading",
]
POOLS = [
    "abcXYZ s\u017ft'", "'stSTrevRElmLMdD \n", "0123456789 ,.\u00bd\u0663", "   \t\n\r\u00a0\u3000\u2003\u0085",
    "\u00e9\u00e8\u0301\u0323\u1100\u1161\uac00\ub098", "\u65e5\u672c\u3002\u3001!?-_ ", "\U0001f642\u200d\U0001f1f0ab ",
]


def texts():
    generator = random.Random(20240607)
    result = list(TEXTS)
    for _ in range(120):
        pool = "".join(generator.choice(POOLS) for _ in range(generator.randint(1, 3)))
        result.append("".join(generator.choice(pool) for _ in range(generator.randint(1, 24))))
    for _ in range(30):
        scalars = []
        while len(scalars) < 12:
            scalar = chr(generator.choice([generator.randint(0, 0x7FF), generator.randint(0, 0xFFFF)]))
            # Characters that are new in recent Unicode versions have no agreed kind.
            if unicodedata.category(scalar) not in ("Cn", "Cs") and unicodedata.ucd_3_2_0.category(scalar) != "Cn":
                scalars.append(scalar)
        result.append("".join(scalars))
    return result


def pieces(pattern, text):
    splitter = pre_tokenizers.Split(Regex(pattern), "isolated", False)
    return [text[begin:end] for _, (begin, end) in splitter.pre_tokenize_str(text)] if text else []


rules = []
for name, pattern in RULES.items():
    cases = [{"text": text, "pieces": pieces(pattern, text)} for text in texts()]
    rules.append({"name": name, "pattern": pattern, "cases": cases})
with open("split-rules.json", "w") as file:
    json.dump(rules, file, indent=0, sort_keys=True)
    file.write("\n")
