/** What an export holds: a line a sample, the answers of all shown cells beside each other. */
import type { Board, Source } from '../data/source'
import type { Result, Row } from '../data/types'
import { answerText, expectedText, lastUserTurn } from '../data/words'

export type Value = string | number | null

export interface Sheet {
  header: string[]
  lines: Value[][]
}

function slotName(board: Board, slot: number): string {
  const { cell, repeat } = board.manifest.slots[slot] ?? { cell: 0, repeat: 0 }
  const repeats = board.manifest.slots.some((other) => other.cell === cell && other.repeat > 0)
  const name = board.manifest.cells[cell]?.name ?? String(cell)
  return repeats ? `${name} #${repeat + 1}` : name
}

function ofResult(result: Result | null): Value[] {
  if (!result) return [null, 'owed', null, null, null, null]
  const { error } = result
  return [
    result.status === 'ok' ? answerText(result) : null,
    result.status,
    error ? `${error.error_type}: ${error.message}` : null,
    result.latency_ms ?? null,
    result.tokens?.output ?? null,
    result.cost_usd ?? null,
  ]
}

const PARTS = ['', ' status', ' error', ' latency_ms', ' output_tokens', ' cost_usd']

function lineOf(row: Row, slots: readonly number[]): Value[] {
  return [
    row.id,
    (row.tags ?? []).join(', '),
    lastUserTurn(row.messages),
    row.expected === undefined ? null : expectedText(row),
    ...slots.flatMap((slot) => ofResult(row.results[slot] ?? null)),
  ]
}

/** Reads the rows block by block; calls back with the share that is read. */
export async function readSheet(
  board: Board,
  source: Source,
  rows: Uint32Array,
  slots: readonly number[],
  onShare: (done: number) => void,
): Promise<Sheet> {
  const names = slots.flatMap((slot) => PARTS.map((part) => slotName(board, slot) + part))
  const lines: Value[][] = new Array(rows.length)
  const per = board.manifest.block_rows
  // By block, whatever the order of the table, so that each is decoded once.
  const places = Uint32Array.from(rows.keys()).sort((a, b) => (rows[a] ?? 0) - (rows[b] ?? 0))
  let read = 0
  for (const place of places) {
    const row = rows[place] as number
    const block = await source.block(Math.floor(row / per))
    const found = block[row % per]
    if (found) lines[place] = lineOf(found, slots)
    if (++read % 500 === 0) {
      onShare(read)
      await new Promise((resolve) => setTimeout(resolve))
    }
  }
  return { header: ['id', 'tags', 'question', 'expected', ...names], lines }
}
