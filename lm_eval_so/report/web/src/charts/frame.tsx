/** What stands around every chart: title, what it shows, and the same as a table. */
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { t } from '../text'

interface Props {
  title: string
  about: string
  over?: string
  children: ComponentChildren
  /** Computed when it is opened: it reads every result. */
  table?: () => Table
}

export interface Table {
  columns: string[]
  /** The first of each is its heading. */
  rows: string[][]
}

export function Frame({ title, about, over, children, table }: Props) {
  return (
    <section class="chart" aria-label={title}>
      <h2>
        {title} {over && <small>{over}</small>}
      </h2>
      <p class="muted">{about}</p>
      {children}
      {table && <AsTable table={table} title={title} />}
    </section>
  )
}

function AsTable({ table, title }: { table: () => Table; title: string }) {
  const [isOpen, setOpen] = useState(false)
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t('charts.table')}</summary>
      {isOpen && <Numbers {...table()} label={title} />}
    </details>
  )
}

export function Numbers({ columns, rows, label }: Table & { label: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by keyboard
    <section class="scroll" tabIndex={0} aria-label={label}>
      <table class="numbers">
        <thead>
          <tr>
            {columns.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, ...values]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {values.map((value, nth) => (
                <td key={nth}>{value}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
