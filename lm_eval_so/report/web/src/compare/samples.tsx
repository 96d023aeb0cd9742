/** Samples of one kind of change, with the answer before and after. */
import { useEffect, useState } from 'preact/hooks'
import type { Result, Row } from '../data/types'
import { count } from '../format'
import { board, openSample, slotsOf, textOfRow } from '../state'
import { t } from '../text'
import { after, before } from './chosen'

/** So many at a time; each needs its block's text. */
const AT_ONCE = 20
/** Characters of an answer that are shown. */
const MOST_CHARACTERS = 280

export function Samples({ rows }: { rows: Uint32Array }) {
  const [most, setMost] = useState(AT_ONCE)
  useEffect(() => setMost(AT_ONCE), [rows])
  const shown = rows.subarray(0, most)
  const rest = rows.length - shown.length
  if (rows.length === 0) return <p class="muted">{t('compare.none')}</p>
  return (
    <>
      <table class="samples">
        <thead>
          <tr>
            <th scope="col">{t('compare.sample')}</th>
            <th scope="col">{t('compare.before')}</th>
            <th scope="col">{t('compare.after')}</th>
          </tr>
        </thead>
        <tbody>
          {[...shown].map((row) => (
            <Sample key={row} row={row} />
          ))}
        </tbody>
      </table>
      {rest > 0 && (
        <button type="button" class="more" onClick={() => setMost(most + AT_ONCE)}>
          {t('compare.more', { n: count(Math.min(rest, AT_ONCE)) })}
        </button>
      )}
    </>
  )
}

type Loaded = { text: Row } | { why: string } | null

function Sample({ row }: { row: number }) {
  const [loaded, setLoaded] = useState<Loaded>(null)
  useEffect(() => {
    let wanted = true
    const keep = (value: Loaded) => wanted && setLoaded(value)
    textOfRow(row).then(
      (text) => keep({ text }),
      (error: unknown) => keep({ why: error instanceof Error ? error.message : String(error) }),
    )
    return () => {
      wanted = false
    }
  }, [row])
  return (
    <tr>
      <th scope="row">
        <button type="button" class="link" onClick={() => openSample(row)}>
          {board.value?.ids[row]}
        </button>
      </th>
      {[before.value, after.value].map((cell) => (
        <td key={cell}>{loaded && <Answers loaded={loaded} cell={cell} />}</td>
      ))}
    </tr>
  )
}

/** The different answers of a cell, in the order of its repeats. */
function Answers({ loaded, cell }: { loaded: NonNullable<Loaded>; cell: number }) {
  if ('why' in loaded)
    return <span class="muted">{t('compare.unreadable', { why: loaded.why })}</span>
  const results = (slotsOf.value[cell] ?? []).map((slot) => loaded.text.results[slot] ?? null)
  const distinct = [...new Map(results.map((result) => [said(result), result])).entries()]
  return (
    <>
      {distinct.map(([text, result]) => (
        <p key={text} class={result?.error ? 'words words-error' : result ? 'words' : 'muted'}>
          {text}
        </p>
      ))}
    </>
  )
}

function said(result: Result | null): string {
  if (!result) return t('compare.owed')
  if (result.error) return cut(`${result.error.error_type}: ${result.error.message}`)
  const calls = result.tool_calls ? JSON.stringify(result.tool_calls) : ''
  return cut([result.text ?? '', calls].filter(Boolean).join('\n'))
}

/** By code points: half of a surrogate pair is no character. */
function cut(text: string): string {
  const start = [...text.slice(0, MOST_CHARACTERS * 2)]
  if (text.length <= MOST_CHARACTERS) return text
  return `${start.slice(0, MOST_CHARACTERS).join('')}…`
}
