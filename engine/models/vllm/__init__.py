"""The backend `vllm`: a vLLM server answers for the executor (the base) and the curator (a LoRA adapter on the same weights).

`opening` opens it. `server` has the process: it is started through `launcher`, watched, started again after a crash, and
stopped. `adapters` publishes the trainer's adapters to it, `proof` and `reference` prove that they are what answers, and
`metrics` reads what the server reports of itself.
"""
