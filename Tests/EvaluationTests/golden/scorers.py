"""Writes scorers.json: what answers score by the formulas of LongBench, BABILong and RULER, from the reference packages where there are any.
Some cases are written by hand, the rest drawn with a seed.

Needs `pip install rouge==1.0.1 fuzzywuzzy==0.18.0 python-Levenshtein`. Run in this folder.
"""

import json
import random
import re
import string
from collections import Counter

from fuzzywuzzy import fuzz
from rouge import Rouge


def f1(answer, known, _):
    """SQuAD's word F1 (arXiv 1606.05250)."""

    def words(text):
        kept = text.lower().translate(str.maketrans("", "", string.punctuation))
        return re.sub(r"\b(?:an?|the)\b", " ", kept).split()

    answer, known = words(answer), words(known)
    shared = sum((Counter(answer) & Counter(known)).values())
    return 2 * shared / (len(answer) + len(known)) if shared else 0.0


def rouge_l(answer, known, _):
    try:
        return Rouge(metrics=["rouge-l"]).get_scores(answer, known)[0]["rouge-l"]["f"]
    except ValueError:  # one of the texts has no sentence
        return 0.0


def classification(answer, known, classes):
    named = [name for name in classes if name in answer and not (name in known and name != known)]
    return 1 / len(named) if known in named else 0.0


def share(answer, number):
    numbers = re.findall(r"\d+", answer)
    return numbers.count(number) / len(numbers) if numbers else 0.0


def retrieval(answer, known, _):
    return share(answer, re.search(r"(?:Paragraph |段落)(\d+)", known).group(1))


def count(answer, known, _):
    return share(answer, known)


def edit_similarity(answer, known, _):
    lines = answer.lstrip("\n").split("\n")
    code = [line for line in lines if not re.search("`|#|//", line)]
    return fuzz.ratio(code[0] if code else "", known) / 100


def label(answer, known, classes):
    sentence = re.split(r"\.|<context>|<example>", answer.lower())[0]
    return float({name.lower() for name in classes if name.lower() in sentence} == {target.lower() for target in known})


def processed(answer):
    """RULER's postprocess_pred (scripts/eval/evaluate.py)."""
    return re.sub(r"[\x00-\x1f]", "\n", answer.strip()).strip()


def recall(answer, known, _):
    """RULER's string_match_all (scripts/eval/synthetic/constants.py), of one answer."""
    return sum(1.0 if one.lower() in processed(answer).lower() else 0.0 for one in known) / len(known)


def any_answer(answer, known, _):
    """RULER's string_match_part, of one answer."""
    return max(1.0 if one.lower() in processed(answer).lower() else 0.0 for one in known)


SCORERS = {
    "f1": f1, "rouge-l": rouge_l, "classification": classification, "retrieval": retrieval, "count": count,
    "edit-similarity": edit_similarity, "label": label, "recall": recall, "any-answer": any_answer,
}
# Scored on all known answers together; the others are the best over them.
TOGETHER = {"label", "recall", "any-answer"}

TREC = ["Location", "Other location", "City", "Country", "Other entity", "Number of something", "Date", "Abbreviation"]
LSHT = ["科学技术", "农业、农村", "社会生活", "体育"]
PLACES = ["bathroom", "bedroom", "garden", "hallway", "kitchen", "office"]
COUNTS = ["none", "one", "three", "two"]
THINGS = ["apple", "football", "milk", "nothing"]

REPORT = (
    "The committee reviewed the budget of the agency. It found that costs rose by 5.2 percent in 2019. "
    "Staff were asked to plan for less. The plan is due in May."
)
SUMMARY = (
    "The report reviews the budget of the agency. Costs rose in 2019 and staff will plan for less. In May the plan is due "
    "before the committee."
)

# answer, known answers, classes; a fourth element: only the first line counts.
CASES = {
    "f1": [
        ("The Eiffel Tower", ["Eiffel Tower"], []),
        (" the tower of Paris, France.", ["Eiffel Tower", "a tower in Paris"], []),
        ("", ["Paris"], []),
        ("the, a; an!", ["Paris"], []),
        ("An owl", ["owl"], []),
        ("yes", ["No", "YES."], []),
        ("New new York", ["new York New York"], []),
        ("Ängström's café – a “theory”", ["ängströms CAFÉ"], []),
        ("cafe\u0301 owner", ["café owner"], []),
        ("a\u0301 b", ["\u0301 b"], []),
        ("It was on\nMonday,\u00a0the\u200912th", ["Monday 12th"], []),
        ("yes\x1cno", ["yes no"], []),
        ("state_of-the-art model", ["stateoftheart models", "art model"], []),
        ("Paris\nQuestion: Who?\nAnswer: Paul", ["Paris"], []),
        ("\n\nParis\nQuestion: Who?\nAnswer: Paul", ["Paris"], [], True),
        ("１２ x² the½a", ["１２", "x²"], []),
    ],
    "rouge-l": [
        (REPORT, [SUMMARY], []),
        (SUMMARY, [REPORT], []),
        (SUMMARY, ["Costs rose.", REPORT, "Nothing of it"], []),
        ("", [REPORT], []),
        ("...", [REPORT], []),
        ("one two three", ["one two three"], []),
        ("three two one", ["one two three"], []),
        ("a b a b c", ["b a c a b"], []),
        ("x y z. p q. y x", ["y x q p z. x x y"], []),
        ("One two. ", ["one two. Two one. "], []),
        ("Bericht über\nÄrzte.  Sie über\u3000Ärzte", ["Bericht über Ärzte"], []),
        ("cafe\u0301 café", ["café au lait"], []),
        ("Amanda baked cookies.\nDialogue: x y z", ["Amanda baked cookies and brought Jerry some."], [], True),
        ("w v u t s r q p o n m", ["m w n v o u p t q s r", "w w v v u u t"], []),
    ],
    "classification": [
        ("Location", ["Location"], TREC),
        ("Other location", ["Other location"], TREC),
        ("Location or Other location or City", ["Other location"], TREC),
        ("City and Country", ["City"], TREC),
        ("City, Country, Date", ["Date", "Country"], TREC),
        ("Number of something, City", ["Date"], TREC),
        ("", ["City"], TREC),
        ("city", ["City"], TREC),
        ("City\nQuestion: x\nType: Date", ["City"], TREC, True),
        ("City\nQuestion: x\nType: Date", ["City"], TREC),
        ("\n科学技术", ["科学技术"], LSHT, True),
        ("体育、社会生活", ["社会生活"], LSHT),
        ("Location", ["Location of it"], ["Location", "Location of it"]),
        ("It is: Location of it", ["Location of it"], ["Location", "Location of it"]),
    ],
    "retrieval": [
        ("Paragraph 12", ["Paragraph 12"], []),
        ("12", ["Paragraph 12"], []),
        ("Paragraph 1", ["Paragraph 12"], []),
        ("Paragraph 12, or 13, or 12", ["Paragraph 12"], []),
        ("Paragraph 012", ["Paragraph 12"], []),
        ("none", ["Paragraph 12"], []),
        ("", ["Paragraph 12"], []),
        ("段落7。段落8", ["段落7"], []),
        ("Paragraph １２ 12", ["Paragraph 12"], []),
        ("4", ["Paragraph 3", "Paragraph 4"], []),
        ("Paragraph 5\nParagraph 6", ["Paragraph 5"], []),
        ("PARAGRAPH 5", ["Paragraph 5, not Paragraph 6"], []),
    ],
    "count": [
        ("7", ["7"], []),
        ("There are 7 of 30.", ["7"], []),
        ("17", ["7"], []),
        ("seven", ["7"], []),
        ("", ["7"], []),
        ("7, 7, 7, 8", ["7"], []),
        ("3.5", ["3", "5"], []),
        ("７ and 7", ["7"], []),
        ("10\n11\n12", ["12"], []),
        ("N7N", ["7"], []),
    ],
    "edit-similarity": [
        ("    return self.value", ["    return self.value"], []),
        ("return self.values()", ["    return self.value"], []),
        ("\n\n```python\n# comment\nx = 1\ny = 2", ["x = 1"], []),
        ("// note\n\nx = 1", ["x = 1"], []),
        ("", ["x = 1"], []),
        ("# only\n// comments", ["x = 1"], []),
        ("Foo.Bar(baz)", ["foo.bar(BAZ)"], []),
        ("naïve = 'ß日本'", ["naive = 'ss日本語'"], []),
        ("cafe\u0301", ["café"], []),
        ("public void run() {\n}", ["public static void main() {", "private void run() {"], []),
        ("abcd", ["bcda"], []),
        ("int x = 5;  // five\nint y = 6;", ["int y = 60;"], []),
        ("x = foo(a, b, c)" * 20, ["y = foo(b, a, c)" * 18], []),
        ("\r\nx = 1\r\ny", ["x = 1"], []),
        ("ab", ["abcdefghijklm"], []),
        ("aaaaaaaab", ["b"], []),
    ],
    "label": [
        (" kitchen", ["kitchen"], PLACES),
        ("The KITCHEN. Then the garden.", ["kitchen"], PLACES),
        ("kitchen or garden", ["kitchen"], PLACES),
        ("kitchen or garden", ["kitchen"], [place for place in PLACES if place != "garden"]),
        ("garden", ["kitchen"], PLACES),
        ("", ["kitchen"], PLACES),
        ("bedrooms", ["bedroom"], PLACES),
        ("kitchen <example> garden", ["kitchen"], PLACES),
        ("kitchen\n<CONTEXT>\ngarden", ["kitchen"], PLACES),
        ("kitchen\nQuestion: where? garden", ["kitchen"], PLACES),
        ("none", ["none"], COUNTS),
        ("two", ["two"], COUNTS),
        ("apple,milk", ["milk", "apple"], THINGS),
        ("milk", ["milk", "apple"], THINGS),
        ("milk, football and apple", ["milk", "apple"], THINGS),
        ("It is mary", ["Mary"], ["Bill", "Fred", "Jeff", "Mary", "apple", "football", "milk"]),
        ("кухня – kitchen…", ["kitchen"], PLACES),
    ],
}


MATCHES = [
    (" apple", ["Apple"], []),
    ("The APPLE, then a pear", ["Apple", "Pear"], []),
    ("Aple", ["aple", "pear"], []),
    ("\n12", ["12"], []),
    ("no\n12\n13", ["12", "13", "14"], []),
    ("112", ["12"], []),
    ("", ["12"], []),
    ("e\u0301clair", ["\u00e9clair", "eclair"], []),
    ("e\u0301clair", ["e", "clair"], []),
    ("x\u0301", ["x"], []),
    ("12\r\n13", ["12"], []),
    ("STRA\u00dfE \u0130stanbul", ["stra\u00dfe", "i\u0307STANBUL"], []),
    ("\u039f\u0394\u039f\u03a3 \u039f\u0394\u039f\u03a3", ["\u03bf\u03b4\u03bf\u03c2", "\u03a3 \u039f"], []),
    ("a\tb", ["a\tb", "a\nb", "A"], []),
    ("a\x1eb", ["a\nb"], []),
    ("\x0012\x00", ["12"], []),
]
CASES["recall"] = CASES["any-answer"] = MATCHES


def scored(scorer, answer, known, classes, only_first_line=False):
    read = answer.lstrip("\n").split("\n")[0] if only_first_line else answer
    score = SCORERS[scorer]
    value = score(read, known, classes) if scorer in TOGETHER else max(score(read, one, classes) for one in known)
    return {
        "scorer": scorer, "answer": answer, "known": known, "classes": classes, "onlyFirstLine": only_first_line, "score": value,
    }


def drawn(generator, pieces):
    """An answer and one to three known ones of pieces that often come again, so that matches tie."""
    texts = ["".join(generator.choices(pieces, k=generator.randint(1, 24))) for _ in range(generator.randint(2, 4))]
    return texts[0], texts[1:], []


def drawn_cases():
    generator = random.Random(230814508)
    words = ["a ", "the ", "whale ", "Whale, ", "ship\n", "sea. ", "sea ", "é ", "e\u0301 ", "ñ", "_x ", "\u00a0", "7 ", ". "]
    letters = list("abcab ()=.") + ["é", "日", "\n", "#"]
    for scorer, pieces in [("f1", words), ("rouge-l", words), ("edit-similarity", letters)]:
        for _ in range(40):
            yield scorer, drawn(generator, pieces)


rows = [scored(scorer, *case) for scorer, cases in CASES.items() for case in cases]
rows += [scored(scorer, *case) for scorer, case in drawn_cases()]
with open("scorers.json", "w") as file:
    json.dump(rows, file, indent=0, sort_keys=True)
    file.write("\n")
