"""Chat templates of published models, shortened to what a system text and turns pass through, and what Jinja makes of them.

python3 chat-templates.py > chat-templates.json    (needs jinja2)
"""
import json

import jinja2

TURN = "{% for message in messages %}"
END = "{% endfor %}{% if add_generation_prompt %}"
TEMPLATES = {
    "smollm2": ("chatml", {}, TURN + "{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI "
        "assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + "
        "message['content'] + '<|im_end|>' + '\n'}}" + END + "{{ '<|im_start|>assistant\n' }}{% endif %}"),
    "qwen2.5": ("chatml", {}, "{%- if messages[0]['role'] == 'system' %}{{- '<|im_start|>system\\n' + messages[0]['content'] + "
        "'<|im_end|>\\n' }}{%- else %}{{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
        "<|im_end|>\\n' }}{%- endif %}{%- for message in messages %}{%- if message.role == 'user' or message.role == 'assistant' %}{{- '<|im_start|>' + message.role + "
        "'\\n' + message.content + '<|im_end|>' + '\\n' }}{%- endif %}{%- endfor %}{%- if add_generation_prompt %}"
        "{{- '<|im_start|>assistant\\n' }}{%- endif %}"),
    "internlm2": ("chatml", {"bos_token": "<s>"}, "{{ bos_token }}" + TURN + "{{'<|im_start|>' + message['role'] + '\n' + "
        "message['content'] + '<|im_end|>' + '\n'}}" + END + "{{ '<|im_start|>assistant\n' }}{% endif %}"),
    "llama3": ("llama3", {"bos_token": "<|begin_of_text|>"}, TURN + "{% set content = '<|start_header_id|>' + message['role'] + "
        "'<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content "
        "%}{% endif %}{{ content }}" + END + "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"),
    "gemma3": ("gemma", {"bos_token": "<bos>"}, "{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}{%- set prefix = "
        "messages[0]['content'] + '\n\n' -%}{%- set rest = messages[1:] -%}{%- else -%}{%- set prefix = '' -%}{%- set rest = messages -%}"
        "{%- endif -%}{%- for message in rest -%}{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' + (prefix if loop.first else '') }}"
        "{{ message['content'] | trim }}{{ '<end_of_turn>\n' }}{%- endfor -%}{%- if add_generation_prompt -%}{{'<start_of_turn>model\n'}}"
        "{%- endif -%}"),
    "mistral v0.2": ("mistral", {"bos_token": "<s>", "eos_token": "</s>"}, "{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] "
        "%}{%- set rest = messages[1:] %}{%- else %}{%- set rest = messages %}{%- endif %}{{- bos_token }}{%- for message in rest %}"
        "{%- if loop.first and system is defined %}{{- ' [INST] ' + system + '\n\n' + message['content'] + ' [/INST]' }}{%- elif message['role'] == 'assistant' %}"
        "{{- ' ' + message['content'] + eos_token }}{%- else %}"
        "{{- ' [INST] ' + message['content'] + ' [/INST]' }}{%- endif %}{%- endfor %}"),
    "mistral v0.1": ("mistral", {"bos_token": "<s>", "eos_token": "</s>"}, "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
        "{{ '[INST] ' + (messages[0]['content'] + '\n\n' if messages[0]['role'] == 'system' and loop.index0 == 1 else '') + message['content'] + ' [/INST]' }}"
        "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}"),
    "mistral nemo": ("mistral", {"bos_token": "<s>", "eos_token": "</s>"}, "{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0]['content'] "
        "%}{%- set rest = messages[1:] %}{%- else %}{%- set rest = messages %}{%- endif %}{{- bos_token }}{%- for message in rest %}"
        "{%- if loop.last and system is defined %}{{- '[INST]' + system + '\n\n' + message['content'] + '[/INST]' }}{%- elif message['role'] == 'assistant' %}"
        "{{- message['content'] + eos_token }}{%- else %}"
        "{{- '[INST]' + message['content'] + '[/INST]' }}{%- endif %}{%- endfor %}"),
    "mistral small": ("mistral", {"bos_token": "<s>", "eos_token": "</s>"}, "{{- bos_token }}{%- for message in messages %}{%- if message['role'] == 'system' "
        "%}{{- '[SYSTEM_PROMPT]' + message['content'] + '[/SYSTEM_PROMPT]' }}{%- elif message['role'] == 'assistant' %}{{- message['content'] + eos_token }}{%- else %}"
        "{{- '[INST]' + message['content'] + '[/INST]' }}"
        "{%- endif %}{%- endfor %}"),
    "phi3": ("phi", {}, TURN + "{% if message['role'] == 'system' %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'assistant' %}"
        "{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% else %}"
        "{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% endif %}" + END + "{{ '<|assistant|>\n' }}{% endif %}"),
    "phi4-mini": ("phi", {}, TURN + "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}" + END
        + "{{ '<|assistant|>' }}{% endif %}"),
    "phi4": ("phi", {}, TURN + "{{'<|im_start|>' + message['role'] + '<|im_sep|>' + message['content'] + '<|im_end|>'}}" + END
        + "{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}"),
    "glm4": ("glm", {}, "[gMASK]<sop>" + TURN + "<|{{ message['role'] }}|>\n{{ message['content'] }}" + END + "<|assistant|>{% endif %}"),
    "glm4-0414": ("glm", {}, "[gMASK]<sop>" + TURN + "<|{{ message['role'] }}|>\n{{ message['content'] }}" + END
        + "{{ '<|assistant|>\n' }}{% endif %}"),
    "zephyr": ("zephyr", {"eos_token": "</s>"}, TURN + "\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + eos_token "
        "}}\n{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n' + message['content'] + eos_token }}\n{% else %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n{% endif %}\n" + END + "{{ '<|assistant|>' }}\n{% endif %}"),
}
UNKNOWN = {
    "gpt-oss": "{{- '<|start|>system<|message|>' + messages[0].content + '<|end|>' }}",
    "command-r": "{{ '<|START_OF_TURN_TOKEN|><|USER_TOKEN|>' + messages[0]['content'] + '<|END_OF_TURN_TOKEN|>' }}",
    "llama2": "{{ bos_token + '[INST] ' + '<<SYS>>\n' + system + '\n<</SYS>>\n\n' + messages[0]['content'] + ' [/INST]' }}",
    "falcon3": TURN + "{{ '<|user|>\n' + message['content'] + '\n' }}{% endfor %}{{ '<|assistant|>\n' + eos_token }}",
    "none": "{{ messages[0]['content'] }}",
}
CONVERSATIONS = [(None, "Who is Ishmael?"), ("Be brief.", " a\nb "), ("", "\u00e9 <s>")]
# System texts and turns, the user's first.
DIALOGUES = [(None, ["Who is Ishmael?", "A sailor.", "And Ahab?"]), ("Be brief.", ["a", " b\n", "c", "d", " e "])]
environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
cases = []


def written(template, tokens, system, turns):
    messages = [] if system is None else [{"role": "system", "content": system}]
    messages += [{"role": ["user", "assistant"][index % 2], "content": turn} for index, turn in enumerate(turns)]
    return environment.from_string(template).render(messages=messages, add_generation_prompt=True, **tokens)


for name, (format, tokens, template) in TEMPLATES.items():
    cases.append({
        "name": name, "format": format, "begin": tokens.get("bos_token", ""), "template": template,
        "texts": [written(template, tokens, system, [user]) for system, user in CONVERSATIONS],
        "dialogueTexts": [written(template, tokens, *dialogue) for dialogue in DIALOGUES]})
print(json.dumps({
    "conversations": [{"system": s, "user": u} for s, u in CONVERSATIONS], "dialogues": [{"system": s, "turns": t} for s, t in DIALOGUES],
    "cases": cases, "unknown": UNKNOWN}, indent=1))
