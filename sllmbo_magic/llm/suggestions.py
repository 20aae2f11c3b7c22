"""The line to write instead of an ``--llm`` that names no provider: vendors and models that people mean."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass

_ADDRESSES = {
    "azure": "https://RESOURCE.openai.azure.com/openai/v1",
    "cerebras": "https://api.cerebras.ai/v1",
    "cohere": "https://api.cohere.ai/compatibility/v1",
    "deepseek": "https://api.deepseek.com",
    "groq": "https://api.groq.com/openai/v1",
    "litellm": "http://localhost:4000/v1",
    "llamacpp": "http://localhost:8080/v1",
    "lmstudio": "http://localhost:1234/v1",
    "localai": "http://localhost:8080/v1",
    "mistral": "https://api.mistral.ai/v1",
    "nvidia": "https://integrate.api.nvidia.com/v1",
    "openrouter": "https://openrouter.ai/api/v1",
    "perplexity": "https://api.perplexity.ai",
    "qwen": "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    "sglang": "http://localhost:30000/v1",
    "together": "https://api.together.xyz/v1",
    "vllm": "http://localhost:8000/v1",
    "xai": "https://api.x.ai/v1",
}
"""Servers with OpenAI's protocol that are no provider here: each is ``openai-compatible`` at this address."""

_OTHER_NAMES = {
    "azure-openai": "azure", "azureopenai": "azure", "azure_openai": "azure",
    "dashscope": "qwen", "grok": "xai", "hosted_vllm": "vllm", "llama-cpp": "llamacpp",
    "llama_cpp": "llamacpp", "llama.cpp": "llamacpp", "llama-server": "llamacpp", "llamafile": "llamacpp",
    "lm-studio": "lmstudio", "lm_studio": "lmstudio", "mistralai": "mistral", "nim": "nvidia",
    "together_ai": "together", "togetherai": "together", "x-ai": "xai",
}  # fmt: skip
_PROVIDERS = {
    "chatgpt": "openai", "gpt": "openai", "claude": "anthropic", "google": "gemini", "vertex": "gemini",
    "vertex_ai": "gemini", "google-genai": "gemini", "compatible": "openai-compatible",
    "openai_compatible": "openai-compatible", "cmd": "command", "shell": "command", "record": "replay",
}  # fmt: skip
"""Other words for a provider of ours."""

_LITELLM = (
    "azure", "cerebras", "deepseek", "groq", "hosted_vllm", "lm_studio", "mistral", "openrouter",
    "perplexity", "together_ai", "vertex_ai", "xai",
)  # fmt: skip
"""Vendors that LiteLLM writes before a slash; other words there are those of model repositories."""

_MODELS: tuple[tuple[str, str], ...] = (
    (r"(gpt-?\d|chatgpt|o\d(-|$)|codex|text-davinci)", "openai"),
    (r"(claude|sonnet|opus|haiku)", "anthropic"),
    (r"gemini", "gemini"),
    (
        r"(llama|qwen|qwq|mistral|mixtral|phi|gemma|deepseek|gpt-oss|codellama|granite|smollm|yi|command-r)",
        "ollama",
    ),
)
"""What a model's name begins with, and the provider that serves it."""
_NO_LLM_WORDS = ("none", "null", "no", "off", "false", "nothing", "tpe", "optuna")
"""What people write for a run without an LLM."""
_APPLICATIONS = ("copilot", "github-copilot", "cursor", "windsurf")
"""Applications that have no address for other programs."""


@dataclass(frozen=True)
class _Parts:
    """An ``--llm`` value in its parts.

    Attributes:
        spec: The whole value.
        word: What stands for the provider, in lower case.
        model: What stands for the model, or "".
        providers: The names that are allowed.
    """

    spec: str
    word: str
    model: str
    providers: Sequence[str]


def line_for(spec: str, providers: Sequence[str]) -> str:
    """What to write instead of an ``--llm`` value whose provider is not known.

    Args:
        spec: The value, without blanks around it.
        providers: The names that are allowed.

    Returns:
        One or two sentences with a line that can be typed; "" if nothing is close.
    """
    parts = _parts(spec, providers)
    return next((line for suggest in _SUGGESTIONS if (line := suggest(parts))), "")


def _parts(spec: str, providers: Sequence[str]) -> _Parts:
    name, _, model = spec.partition(":")
    first, *second = re.split(r"[\s=]+", name, maxsplit=1)
    if second and first.lower() in (*providers, *_PROVIDERS, *_ADDRESSES, *_OTHER_NAMES):
        name, model = first, f"{second[0]}:{model}".strip(":")  # "openai gpt-4o", "openai=gpt-4o"
    if "/" in name and not model:  # as LiteLLM writes it
        vendor, _, vendors_model = name.partition("/")
        if vendor in (*providers, *_LITELLM):
            name, model = vendor, vendors_model
    return _Parts(spec, name.lower(), model, providers)


def _for_url(parts: _Parts) -> str:
    if not re.match(r"https?://", parts.spec):
        return ""
    return f"Write: --llm openai-compatible:MODEL --base-url {parts.spec}"


def _for_repository(parts: _Parts) -> str:
    """``meta-llama/Llama-3-8B``: a model's repository, as servers such as vLLM name a model."""
    if "/" not in parts.word or parts.model:
        return ""
    return f"Write: --llm openai-compatible:{parts.spec} --base-url http://localhost:8000/v1"


def _for_provider(parts: _Parts) -> str:
    provider = parts.word if parts.word in parts.providers else _PROVIDERS.get(parts.word)
    return f"Write: --llm {provider}:{parts.model or 'MODEL'}" if provider else ""


def _for_no_llm(parts: _Parts) -> str:
    if parts.word not in _NO_LLM_WORDS or parts.model:
        return ""
    return "Without an LLM, write: --llm rulebook (expert rules), or --sampler tpe (TPE alone)."


def _for_application(parts: _Parts) -> str:
    if parts.word not in _APPLICATIONS:
        return ""
    return (
        f"{parts.word} has no address for other programs. If its command line prints its answer, write: "
        '--llm "command:PROGRAM ARGS"; else --llm manual, and paste the prompts there.'
    )


def _for_server(parts: _Parts) -> str:
    vendor = _OTHER_NAMES.get(parts.word, parts.word)
    url = _ADDRESSES.get(vendor)
    if url is None:
        return ""
    key = "" if "localhost" in url else " with your key in OPENAI_COMPATIBLE_API_KEY"
    placeholder = "DEPLOYMENT" if vendor == "azure" else "MODEL"
    return f"Write{key}: --llm openai-compatible:{parts.model or placeholder} --base-url {url}"


def _for_model(parts: _Parts) -> str:
    """A model's name alone: the provider that serves it."""
    if parts.word.startswith("grok-"):
        return f"{parts.spec} is a model. {line_for(f'xai:{parts.spec}', parts.providers)}"
    provider = next((provider for pattern, provider in _MODELS if re.match(pattern, parts.word)), None)
    return f"{parts.spec} is a model. Write: --llm {provider}:{parts.spec}" if provider else ""


def _for_misspelling(parts: _Parts) -> str:
    close = difflib.get_close_matches(parts.word, parts.providers, 1, 0.5)
    if not close:
        return ""
    needs_model = close[0] not in ("rulebook", "manual")
    line = f"{close[0]}:{parts.model or 'MODEL'}" if needs_model else close[0]
    return f"Did you mean {close[0]!r}? Write: --llm {line}"


def _for_other_server(parts: _Parts) -> str:
    if not parts.model:
        return ""
    return f"For a server with OpenAI's protocol, write: --llm openai-compatible:{parts.model} --base-url URL"


_SUGGESTIONS: tuple[Callable[[_Parts], str], ...] = (
    _for_url,
    _for_repository,
    _for_provider,
    _for_no_llm,
    _for_application,
    _for_server,
    _for_model,
    _for_misspelling,
    _for_other_server,
)
"""Each gives its sentence, or "" where it has none; the first sentence is shown."""
