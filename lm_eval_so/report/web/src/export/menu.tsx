/** The answers as a file: of all samples, or of those that are filtered. */
import { useSignal } from '@preact/signals'
import { notesAsJsonl, notesHere } from '../drawer/notes'
import { isFiltered, matching } from '../filters/matching'
import { Menu } from '../filters/menu'
import { count, percent } from '../format'
import { board, shownSlots, source } from '../state'
import { type Key, t } from '../text'
import { csvOf } from './csv'
import { readSheet } from './rows'
import { excelOf } from './xlsx'

/** How long an address of a download has to live, in milliseconds. */
const DOWNLOAD_MS = 60_000

function download(blob: Blob, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), DOWNLOAD_MS)
}

function fileName(suffix: string): string {
  const dataset = board.value?.manifest.datasets[0]?.id ?? 'report'
  return `${dataset.replace(/[^\p{L}\p{N}._-]+/gu, '_').slice(0, 80)}.${suffix}`
}

export function ExportMenu() {
  const said = useSignal('')
  const all = board.value?.manifest.rows ?? 0
  const noted = notesHere().length
  const write = async (kind: 'csv' | 'xlsx', rows: Uint32Array) => {
    const [shown, from] = [board.value, source.value]
    if (!shown || !from) return
    try {
      const sheet = await readSheet(shown, from, rows, shownSlots.value, (done) => {
        said.value = t('export.reading', { share: percent(done, rows.length) })
      })
      const blob =
        kind === 'csv' ? new Blob([csvOf(sheet)], { type: 'text/csv' }) : await excelOf(sheet)
      download(blob, fileName(kind))
      said.value = ''
    } catch (error) {
      said.value = t('export.failed', {
        why: error instanceof Error ? error.message : String(error),
      })
    }
  }
  const entry = (key: Key, n: number, act: () => void) => (
    <button key={key} type="button" class="option" onClick={act}>
      {t(key, { n: count(n) })}
    </button>
  )
  const filtered = matching.value
  const everything = () => Uint32Array.from({ length: all }, (_, row) => row)
  return (
    <Menu label={t('export')}>
      {isFiltered.value && [
        entry('export.csv', filtered.length, () => void write('csv', filtered)),
        entry('export.xlsx', filtered.length, () => void write('xlsx', filtered)),
      ]}
      {entry('export.csv_all', all, () => void write('csv', everything()))}
      {entry('export.xlsx_all', all, () => void write('xlsx', everything()))}
      {noted > 0 &&
        entry('export.notes', noted, () =>
          download(
            new Blob([notesAsJsonl()], { type: 'application/jsonl' }),
            fileName('notes.jsonl'),
          ),
        )}
      {said.value && <p role="status">{said.value}</p>}
    </Menu>
  )
}
