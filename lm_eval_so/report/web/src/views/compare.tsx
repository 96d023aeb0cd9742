/** Two cells of one dataset, before and after: what changed, what failed, by how much. */

import { batch } from '@preact/signals'
import { cellName } from '../cell_names'
import { CHANGES, type Change } from '../compare/changes'
import {
  after,
  before,
  chooseAfter,
  chooseBefore,
  list,
  lists,
  openList,
  swap,
} from '../compare/chosen'
import { NumbersTable } from '../compare/numbers_table'
import { Samples } from '../compare/samples'
import { writeList } from '../filters/row_list'
import { count } from '../format'
import { board, rowList, slotsOf, view } from '../state'
import { type Key, t } from '../text'
import { tn } from './plural'
import { Command } from './provenance'
import './views.css'
import '../compare/compare.css'

export function Compare() {
  const cells = board.value?.manifest.cells ?? []
  if (cells.length < 2) {
    return (
      <div class="compare-view">
        <Command
          words={t('compare.one')}
          command={`lm-eval-so report ${cells[0]?.run_dir ?? ''} …`}
        />
      </div>
    )
  }
  const [first, second] = [cells[before.value], cells[after.value]]
  const repeated = [before.value, after.value].some(
    (cell) => (slotsOf.value[cell] ?? []).length > 1,
  )
  return (
    <div class="compare-view">
      <p class="pair">
        <Choice words="compare.before" chosen={before.value} choose={chooseBefore} />
        <button type="button" onClick={swap}>
          ⇄ {t('compare.swap')}
        </button>
        <Choice words="compare.after" chosen={after.value} choose={chooseAfter} />
      </p>
      {first?.dataset !== second?.dataset && <p class="notice">{t('compare.datasets')}</p>}
      <Changes />
      {repeated && <p class="muted">{t('compare.repeats')}</p>}
      <NumbersTable />
      <List />
    </div>
  )
}

interface ChoiceProps {
  words: Key
  chosen: number
  choose: (cell: number) => void
}

function Choice({ words, chosen, choose }: ChoiceProps) {
  const cells = board.value?.manifest.cells ?? []
  return (
    <label>
      {t(words)}{' '}
      <select
        value={String(chosen)}
        onChange={(event) => choose(Number(event.currentTarget.value))}
      >
        {cells.map(({ name }, cell) => (
          <option key={name} value={String(cell)}>
            {cellName(cell)}
          </option>
        ))}
      </select>
    </label>
  )
}

function Changes() {
  const found = lists.value
  if (!found) return null
  return (
    <p class="changes">
      {CHANGES.map((kind: Change) => (
        <button
          key={kind}
          type="button"
          class={`change change-${kind}`}
          aria-pressed={list.value === kind}
          onClick={() => openList(kind)}
        >
          <strong>{count(found[kind].length)}</strong> {t(`compare.${kind}`)}
        </button>
      ))}
    </p>
  )
}

function showInTable(): void {
  batch(() => {
    rowList.value = writeList({ kind: list.value, cells: [before.value, after.value] })
    view.value = 'table'
  })
}

function List() {
  const rows = lists.value?.[list.value]
  if (!rows) return null
  return (
    <section>
      <h2>
        {tn('compare.list', rows.length, { what: t(`compare.${list.value}`) })}{' '}
        {rows.length > 0 && (
          <button type="button" class="link" onClick={showInTable}>
            {t('compare.in_table')}
          </button>
        )}
      </h2>
      <Samples rows={rows} />
    </section>
  )
}
