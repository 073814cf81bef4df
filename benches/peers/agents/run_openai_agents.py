"""The OpenAI Agents SDK over chat completions."""

import shared
from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool
from openai import AsyncOpenAI


def make(url):
    model = OpenAIChatCompletionsModel(model=shared.MODEL, openai_client=AsyncOpenAI(base_url=url))
    tools = [function_tool(shared.lookup)]
    agent = Agent(name="bench", instructions=shared.INSTRUCTIONS, tools=tools, model=model)

    async def once():
        return (await Runner.run(agent, shared.QUESTION)).final_output

    return once


shared.main(make, "openai-agents", "openai")
