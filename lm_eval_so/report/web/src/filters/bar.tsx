/** What narrows the table: query, chips, tags, metadata, cells; and what is done with the rest. */
import { useComputed } from '@preact/signals'
import { ExportMenu } from '../export/menu'
import { count } from '../format'
import {
  board,
  CHIPS,
  chips,
  clearFilters,
  fields,
  hidden,
  shownCells,
  sort,
  tags,
  toggled,
} from '../state'
import { cellColour } from '../table/state'
import { type Key, t } from '../text'
import { chipCounts, isFiltered, matching, SORTS } from './matching'
import { Menu, Option } from './menu'
import { QueryBox } from './query_box'

function Chips() {
  const counts = chipCounts.value
  return (
    <div role="group" aria-label={t('chips')} class="chips">
      {CHIPS.map((chip) => {
        const on = chips.value.includes(chip)
        const n = counts?.[chip] ?? 0
        if (n === 0 && !on) return null
        return (
          <button
            key={chip}
            type="button"
            class={`chip ${chip}`}
            aria-pressed={on}
            title={t(`chip.${chip}.what`)}
            onClick={() => {
              chips.value = toggled(chips.value, chip)
            }}
          >
            {t(`chip.${chip}`)} <span class="n">{count(n)}</span>
          </button>
        )
      })}
    </div>
  )
}

function TagMenu() {
  const counts = useComputed(() => {
    const shown = board.value
    const found = new Array<number>(shown?.manifest.tags.length ?? 0).fill(0)
    for (const set of shown?.columns.tagset ?? []) {
      for (const tag of shown?.manifest.tagsets[set] ?? []) found[tag] = (found[tag] ?? 0) + 1
    }
    return found
  })
  const names = board.value?.manifest.tags ?? []
  if (names.length === 0) return null
  return (
    <Menu label={t('tags')} chosen={tags.value.length}>
      {names.map((name, at) => (
        <Option
          key={name}
          label={name}
          count={count(counts.value[at] ?? 0)}
          checked={tags.value.includes(name)}
          onToggle={() => {
            tags.value = toggled(tags.value, name)
          }}
        />
      ))}
    </Menu>
  )
}

function FieldMenu({ name, values }: { name: string; values: unknown[] }) {
  const chosen = fields.value[name] ?? []
  return (
    <fieldset>
      <legend>{name}</legend>
      {values.map((value) => {
        const json = JSON.stringify(value)
        return (
          <Option
            key={json}
            label={typeof value === 'string' ? value : json}
            checked={chosen.includes(json)}
            onToggle={() => {
              fields.value = { ...fields.value, [name]: toggled(chosen, json) }
            }}
          />
        )
      })}
    </fieldset>
  )
}

function Fields() {
  const all = board.value?.manifest.fields ?? []
  if (all.length === 0) return null
  const chosen = Object.values(fields.value).reduce((sum, wanted) => sum + wanted.length, 0)
  return (
    <Menu label={t('metadata')} chosen={chosen}>
      {all.map(({ name, values }) => (
        <FieldMenu key={name} name={name} values={values} />
      ))}
    </Menu>
  )
}

function CellMenu() {
  const cells = board.value?.manifest.cells ?? []
  if (cells.length < 2) return null
  return (
    <Menu label={t('cells')} chosen={hidden.value.length > 0 ? shownCells.value.length : 0}>
      {cells.map(({ name }, cell) => (
        <Option
          key={name}
          label={name}
          colour={cellColour(cell)}
          checked={!hidden.value.includes(cell)}
          onToggle={() => {
            const next = toggled(hidden.value, cell)
            if (next.length < cells.length) hidden.value = next
          }}
        />
      ))}
    </Menu>
  )
}

function Sort() {
  return (
    <label class="sort">
      <span class="sr">{t('sort')}</span>
      <select
        value={sort.value}
        onChange={(event) => {
          sort.value = event.currentTarget.value
        }}
      >
        {SORTS.map((by) => (
          <option key={by} value={by}>
            {t(`sort.${by || 'dataset'}` as Key)}
          </option>
        ))}
      </select>
    </label>
  )
}

export function FilterBar() {
  const all = board.value?.manifest.rows ?? 0
  return (
    <search class="bar" aria-label={t('filters')}>
      <div class="bar-line">
        <QueryBox />
        <TagMenu />
        <Fields />
        <CellMenu />
        <Sort />
        <ExportMenu />
      </div>
      <div class="bar-line">
        <Chips />
        <span class="shown">
          {isFiltered.value
            ? t('shown', { n: count(matching.value.length), of: count(all) })
            : t('shown.all', { of: count(all) })}
          {isFiltered.value && (
            <button type="button" class="link" onClick={clearFilters}>
              {t('clear')}
            </button>
          )}
        </span>
      </div>
    </search>
  )
}
