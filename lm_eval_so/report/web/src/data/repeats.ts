/** The repeats of one cell, seen as one answer. */
import { type Columns, NO_ANSWER, OK, OWED } from './columns'

export interface Repeats {
  /** The slot that stands for all: the first with the most frequent answer, else the first failed. */
  slot: number
  /** Ok answers, how many of them equal the one shown, and slots. */
  ok: number
  equal: number
  of: number
}

export function repeatsOf(columns: Columns, slots: readonly number[], row: number): Repeats {
  const counts = new Map<number, number>()
  let failed = -1
  let ok = 0
  for (const slot of slots) {
    const at = columns.at(row, slot)
    const answer = columns.answer[at] as number
    if (columns.status[at] === OK) {
      ok++
      if (answer !== NO_ANSWER) counts.set(answer, (counts.get(answer) ?? 0) + 1)
    } else if (failed < 0 && columns.status[at] !== OWED) failed = slot
  }
  const equal = Math.max(0, ...counts.values())
  const most = [...counts.keys()].find((answer) => counts.get(answer) === equal)
  const shown = slots.find(
    (slot) => most !== undefined && columns.answer[columns.at(row, slot)] === most,
  )
  const slot = shown ?? (failed >= 0 ? failed : (slots[0] as number))
  return { slot, ok, equal, of: slots.length }
}
