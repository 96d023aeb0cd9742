"""Generate questions, have a model answer them, score the answers: a pipeline in MLflow.

Run as ``python example/pipeline/pipeline.py [output directory]``; the model is the embedded one, so
that it needs neither a key nor a network.
"""

import json
import sys

from lm_eval_so import RunConfig
from lm_eval_so.utils import PipelineContext

CAPITALS = {"France": "Paris", "Japan": "Tokyo", "Egypt": "Cairo", "Peru": "Lima"}


def main(output_dir: str) -> None:
    """Runs the three steps."""
    config = RunConfig(
        backend="local", model="SmolLM2-135M-Instruct", parameters={"max_tokens": 30}
    )
    with PipelineContext("capitals", output_dir) as ctx:
        ctx.log_params({"model": config.model, "sampling": config.parameters})

        with ctx.step("generate") as folder:
            dataset = folder / "questions.jsonl"
            with dataset.open("w") as file:
                for country, capital in CAPITALS.items():
                    question = {"role": "user", "content": f"What is the capital of {country}?"}
                    sample = {"id": country, "messages": [question], "expected": capital}
                    file.write(json.dumps(sample) + "\n")
            ctx.log_artifact("questions.jsonl")
            ctx.log_metrics({"count": len(CAPITALS)})

        report = ctx.run_evaluation(dataset, config, step="answer")

        with ctx.step("score") as folder:
            scores = {
                result.sample_id: bool(
                    result.response and result.request_context.expected in result.response.text
                )
                for result in report.results()
            }
            (folder / "scores.json").write_text(json.dumps(scores, indent=2))
            ctx.log_artifact("scores.json")
            accuracy = sum(scores.values()) / len(scores)
            ctx.log_metrics({"accuracy": accuracy})

        ctx.log_metrics({"accuracy": accuracy})
    print(f"{accuracy:.0%} of {len(scores)} answers name the capital")


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["outputs/pipeline"]))
