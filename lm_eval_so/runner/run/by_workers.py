"""The results of a run whose shards are asked by workers elsewhere, which write the parts."""

import os

from lm_eval_so.runner.engine.cluster import Cluster, Counted
from lm_eval_so.runner.run.in_parts import InParts
from lm_eval_so.runner.run.prepare import Prepared
from lm_eval_so.runner.run.recorder import Recorder
from lm_eval_so.runner.run.worker_job import worker_job
from lm_eval_so.runner.store.parts.lease import Range


class ByWorkers(InParts):
    """See Results. This process asks nothing; at the end it seals what dead workers have left."""

    def __init__(self, prepared: Prepared, recorder: Recorder) -> None:
        super().__init__(prepared, recorder)
        self._counted = Counted(0, 0)
        self.cluster = Cluster(
            owed=self._owed,
            last_epoch=lambda: self.directory.board.last_epoch,
            job=worker_job(prepared, self.directory.path, self._shards, os.environ),
            counted=self._count,
        )

    @property
    def delivered(self) -> int:
        """See Results."""
        return self._counted.delivered

    @property
    def resumed(self) -> int:
        """See Results."""
        answers = sum(piece.ok for piece in self.directory.board.pieces())
        return max(0, answers - (self._counted.delivered - self._counted.failed))

    async def has_more(self) -> bool:
        """See Results."""
        await self._tell_of_answers()
        return bool(self._owed())

    def put_in_order(self) -> bool:
        """See Results."""
        self.directory.look_again()
        return super().put_in_order()

    def _owed(self) -> list[Range]:
        return list(self.directory.board.owed(self._questions.asked))

    async def _count(self, news: Counted) -> None:
        delivered, failed = self._counted
        self._counted = Counted(delivered + news.delivered, failed + news.failed)
        await self._watch.counted(news.delivered, news.failed)
