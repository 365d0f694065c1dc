"""The prompt that every system reads: the beginning token and a bundled book."""
import json
import os

from tokenizers import Tokenizer


def token_ids(model, length):
    """The first `length` ids; a book that is too short is read again from its beginning."""
    folder = os.path.join(os.path.dirname(model), "text")
    with open(os.path.join(folder, sorted(os.listdir(folder))[0]), encoding="utf-8") as book:
        tokens = Tokenizer.from_file(os.path.join(model, "tokenizer.json")).encode(book.read(), add_special_tokens=False).ids
    with open(os.path.join(model, "config.json")) as file:
        begin = json.load(file)["bos_token_id"]
    return [begin] + (tokens * (length // len(tokens) + 1))[: length - 1]
