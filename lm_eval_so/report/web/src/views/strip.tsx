/** The cells in short: two lines each, beside one another. */
import { CellName, cellName } from '../cell_names'
import type { Cell } from '../data/types'
import { duration } from '../format'
import { board, reference, shownCells } from '../state'
import { t } from '../text'
import type { Figures } from './figures'
import { Flags, Outcomes } from './outcomes'
import { figures } from './summed'
import './strip.css'

export function Strip() {
  const cells = board.value?.manifest.cells ?? []
  return (
    <section class="strip" aria-label={t('cells.label')}>
      {cells.map((cell, index) => {
        const of = figures.value[index]
        return of && <InShort key={index} cell={cell} index={index} of={of} />
      })}
    </section>
  )
}

function InShort({ cell, index, of }: { cell: Cell; index: number; of: Figures }) {
  const several = (board.value?.manifest.cells.length ?? 0) > 1
  const isReference = several && reference.value === index
  const hidden = !shownCells.value.includes(index)
  return (
    <article class={`in-short ${hidden ? 'cell-hidden' : ''} ${isReference ? 'is-it' : ''}`}>
      <Outcomes cell={cell} />
      <h2>
        <span class={`swatch swatch-${index % 8}`} aria-hidden="true" />
        {several ? <MakeReference index={index} /> : <CellName cell={index} />}
        {isReference && <span class="is-reference">{t('reference')}</span>}
      </h2>
      <div class="in-numbers">
        {of.latency && (
          <p title={t('cells.latency')}>
            p50 <strong>{duration(of.latency.p50)}</strong> p99{' '}
            <strong>{duration(of.latency.p99)}</strong>
          </p>
        )}
        <Flags cell={cell} index={index} of={of} />
      </div>
    </article>
  )
}

function MakeReference({ index }: { index: number }) {
  return (
    <button
      type="button"
      class="choose"
      aria-pressed={reference.value === index}
      title={t('cells.reference.choose', { name: cellName(index) })}
      onClick={() => {
        reference.value = index
      }}
    >
      <CellName cell={index} />
    </button>
  )
}
