"""No framework: a loop over the client that all the frameworks here are built on, which is their floor."""

import json

import shared
from openai import AsyncOpenAI

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "lookup",
            "description": "Looks a key up.",
            "parameters": {"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]},
        },
    }
]


def make(url):
    client = AsyncOpenAI(base_url=url)

    async def once():
        messages = [
            {"role": "system", "content": shared.INSTRUCTIONS},
            {"role": "user", "content": shared.QUESTION},
        ]
        while True:
            answer = await client.chat.completions.create(model=shared.MODEL, messages=messages, tools=TOOLS)
            said = answer.choices[0].message
            if not said.tool_calls:
                return said.content
            messages.append(said)
            for call in said.tool_calls:
                result = shared.lookup(**json.loads(call.function.arguments))
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})

    return once


shared.main(make, "openai")
