"""LangGraph's agent, as `create_agent` makes it, without a checkpointer."""

import shared
from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


def make(url):
    model = ChatOpenAI(model=shared.MODEL, base_url=url, use_responses_api=False)
    agent = create_agent(model, tools=[tool(shared.lookup)], system_prompt=shared.INSTRUCTIONS)

    async def once():
        said = await agent.ainvoke({"messages": [{"role": "user", "content": shared.QUESTION}]})
        return said["messages"][-1].content

    return once


shared.main(make, "langgraph", "langchain", "langchain-openai")
