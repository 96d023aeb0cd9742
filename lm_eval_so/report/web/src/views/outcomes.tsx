/** What came of a cell's questions: a bar, and what is wrong as buttons that show the samples. */
import { batch } from '@preact/signals'
import type { Fact } from '../data/facts'
import type { Cell } from '../data/types'
import { writeList } from '../filters/row_list'
import { count } from '../format'
import { rowList, view } from '../state'
import { t } from '../text'
import type { Figures } from './figures'
import { counted } from './verdict'

const FLAGS = ['truncated', 'refused', 'empty'] as const

/** Shows those samples of one cell in the table; once more, all of them again. */
function filterBy(list: string): void {
  batch(() => {
    rowList.value = rowList.value === list ? '' : list
    view.value = 'table'
  })
}

export function Flags({ cell, index, of }: { cell: Cell; index: number; of: Figures }) {
  const some: [Fact, string][] = FLAGS.filter((flag) => of[flag] > 0).map((flag) => [
    flag,
    t(`cells.${flag}`, { n: count(of[flag]) }),
  ])
  const clean = some.length === 0 && <span class="muted">{t('cells.clean')}</span>
  const { failed, owed } = cell.counts
  if (owed > 0) some.unshift(['owed', t('verdict.owed', { owed: count(owed) })])
  if (failed > 0) some.unshift(['failed', t('verdict.failed', { failed: count(failed) })])
  return (
    <p class="flags">
      {some.map(([kind, what]) => {
        const list = writeList({ kind, cells: [index] })
        return (
          <button
            key={kind}
            type="button"
            class={`flag flag-${kind}`}
            aria-pressed={rowList.value === list}
            title={t('cells.filter', { what })}
            onClick={() => filterBy(list)}
          >
            {what}
          </button>
        )
      })}
      {clean}
    </p>
  )
}

export function Outcomes({ cell }: { cell: Cell }) {
  const { ok, failed, owed } = cell.counts
  const label = counted({ ...cell.counts, asked: cell.asked })
  return (
    <div class="outcomes" role="img" aria-label={label} title={label}>
      <span class="bar-ok" style={{ flexGrow: String(ok) }} />
      <span class="bar-failed" style={{ flexGrow: String(failed) }} />
      <span class="bar-owed" style={{ flexGrow: String(owed) }} />
    </div>
  )
}
