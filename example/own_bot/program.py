"""A chatbot as a program: a line of JSON comes in on stdin, and a line goes out on stdout.

It answers one line, or many: persistent=jsonl keeps it running.
"""

import json
import sys

from bot import answer

for line in sys.stdin:
    question = json.loads(line)
    print(json.dumps({**answer(question["messages"]), "id": question["id"]}), flush=True)
