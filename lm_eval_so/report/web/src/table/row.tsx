/** One sample: who it is, what was asked, what is expected, what each cell answered. */
import type { VirtualItem } from '@tanstack/virtual-core'
import type { CSSProperties } from 'preact'
import { NO_ANSWER } from '../data/columns'
import { decodedRow } from '../data/decoded'
import { type Repeats, repeatsOf } from '../data/repeats'
import type { Row } from '../data/types'
import { expectedText, lastUserTurn } from '../data/words'
import { cost, count, duration } from '../format'
import { board, chips, openSample, slotsOf, sort } from '../state'
import { t } from '../text'
import { Answer } from './answer'
import {
  activate,
  active,
  cellColour,
  cellName,
  expanded,
  referenceCell,
  tableCells,
  toggleExpanded,
} from './state'

const SHOWN = 400

/** The value that the table is sorted by, of one result. */
function sortedBy(at: number): string | null {
  const columns = board.value?.columns
  if (!columns) return null
  const by = sort.value.replace(/^-/, '')
  if (by === 'latency' || (by === '' && chips.value.includes('slowest'))) {
    return duration(columns.latency[at])
  }
  if (by === 'cost') return cost(columns.cost[at])
  if (by === 'length' || (by === '' && chips.value.includes('longest'))) {
    return t('characters', { n: count(columns.length[at] ?? 0) })
  }
  return null
}

function RepeatCount({ repeats, row }: { repeats: Repeats; row: number }) {
  return (
    <button
      type="button"
      class="repeats"
      tabIndex={-1}
      aria-expanded={expanded.value.has(row)}
      onClick={(event) => {
        event.stopPropagation()
        toggleExpanded(row)
      }}
    >
      {t('repeats.equal', { equal: repeats.equal, of: repeats.of })}
    </button>
  )
}

interface CellProps {
  number: number
  row: Row
  cell: number
  /** The slot that the others are compared with. */
  against: number
}

function isEqual(number: number, slot: number, against: number): boolean {
  const columns = board.value?.columns
  if (!columns || slot === against) return false
  const answer = columns.answer[columns.at(number, slot)]
  return answer !== NO_ANSWER && answer === columns.answer[columns.at(number, against)]
}

function CellAnswers({ number, row, cell, against }: CellProps) {
  const columns = board.value?.columns
  const slots = slotsOf.value[cell] ?? []
  if (!columns) return null
  const repeats = repeatsOf(columns, slots, number)
  const answer = (slot: number) => (
    <Answer
      row={row}
      slot={slot}
      against={slot === against ? -1 : against}
      equal={isEqual(number, slot, against)}
      flags={columns.flags[columns.at(number, slot)] ?? 0}
    />
  )
  const by = sortedBy(columns.at(number, repeats.slot))
  return (
    <>
      <div class="answer">
        {slots.length > 1 && <RepeatCount repeats={repeats} row={number} />}
        {by && <span class="badge plain">{by}</span>}
        {answer(repeats.slot)}
      </div>
      {slots.length > 1 && expanded.value.has(number) && (
        <ol class="each">
          {slots.map((slot) => (
            <li key={slot}>{answer(slot)}</li>
          ))}
        </ol>
      )}
    </>
  )
}

function Question({ row }: { row: Row }) {
  return (
    <div class="clamp">
      {row.messages.length > 2 && (
        <span class="badge plain">{t('messages', { n: row.messages.length })}</span>
      )}
      <bdi>{lastUserTurn(row.messages).slice(0, SHOWN)}</bdi>
    </div>
  )
}

function Tags({ number }: { number: number }) {
  const manifest = board.value?.manifest
  const set = manifest?.tagsets[board.value?.columns.tagset[number] ?? 0] ?? []
  return (
    <div class="row-tags">
      {set.map((tag) => (
        <span key={tag} class="tag">
          {manifest?.tags[tag]}
        </span>
      ))}
    </div>
  )
}

interface RowProps {
  item: VirtualItem
  number: number
  /** The height above the first row, in pixels. */
  margin: number
  expects: boolean
}

export function TableRow({ item, number, margin, expects }: RowProps) {
  const row = decodedRow(number)
  const columns = board.value?.columns
  const against = columns
    ? repeatsOf(columns, slotsOf.value[referenceCell.value] ?? [], number).slot
    : -1
  const isActive = active.value === item.index
  const style: CSSProperties = {
    transform: `translateY(${item.start - margin}px)`,
    height: `${item.size}px`,
  }
  const open = () => {
    if (getSelection()?.toString()) return
    activate(item.index)
    openSample(number)
  }
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Enter on the grid opens the active row
    <div
      role="row"
      id={`row-${item.index}`}
      class={isActive ? 'row active' : 'row'}
      aria-rowindex={item.index + 2}
      aria-selected={isActive}
      style={style}
      onClick={open}
    >
      <div role="rowheader" class="cell who">
        <div class="id" title={board.value?.ids[number]}>
          <bdi>{board.value?.ids[number]}</bdi>
        </div>
        <Tags number={number} />
      </div>
      <div role="gridcell" class="cell question">
        {row ? <Question row={row} /> : <span class="skeleton" />}
      </div>
      {expects && (
        <div role="gridcell" class="cell expected">
          <div class="clamp">
            <bdi>{row ? expectedText(row).slice(0, SHOWN) : ''}</bdi>
          </div>
        </div>
      )}
      {tableCells.value.map((cell) => (
        <div
          key={cell}
          role="gridcell"
          class="cell given"
          data-cell={cellName(cell)}
          style={{ '--colour': cellColour(cell) } as CSSProperties}
        >
          {row ? (
            <CellAnswers number={number} row={row} cell={cell} against={against} />
          ) : (
            <span class="skeleton" />
          )}
        </div>
      ))}
    </div>
  )
}
