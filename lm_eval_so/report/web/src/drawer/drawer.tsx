/** The sample that is open: the conversation, and what all cells answered. */
import { useEffect, useRef } from 'preact/hooks'
import { decodedRow, want } from '../data/decoded'
import { repeatsOf } from '../data/repeats'
import type { Row } from '../data/types'
import { plainly } from '../data/words'
import { useDialog } from '../dialog'
import { matching, neighbour } from '../filters/matching'
import { count } from '../format'
import { helpIsOpen } from '../help_state'
import { board, openRow, slotsOf } from '../state'
import { hasRepeats, referenceCell, tableCells } from '../table/state'
import { t } from '../text'
import { AnswerCard } from './answer_card'
import { Conversation } from './conversation'
import { Copy } from './copy'
import { LongText } from './long_text'
import { asMarkdown, toggleMarkdown, toggleMarks, withMarks } from './state'

function step(by: number): void {
  openRow.value = neighbour(by)
}

function close(): void {
  openRow.value = -1
  document.getElementById('grid')?.focus({ preventScroll: true })
}

const KEYS: Readonly<Record<string, () => void>> = {
  j: () => step(1),
  k: () => step(-1),
  ArrowRight: () => step(1),
  ArrowLeft: () => step(-1),
  m: toggleMarkdown,
  w: toggleMarks,
  '?': () => {
    helpIsOpen.value = true
  },
}

function onKey(event: KeyboardEvent): void {
  const target = event.target as HTMLElement
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches('textarea, input')) return
  const act = KEYS[event.key]
  if (!act) return
  event.preventDefault()
  act()
}

function Header({ number }: { number: number }) {
  const rows = matching.value
  const at = rows.indexOf(number)
  const id = board.value?.ids[number] ?? ''
  return (
    <header class="drawer-head">
      <h2 id="drawer-title">
        <bdi>{id}</bdi>
      </h2>
      <Copy label={t('copy.link')} text={() => location.href} />
      <span class="muted place">
        {at >= 0 ? t('place', { n: count(at + 1), of: count(rows.length) }) : t('filtered_out')}
      </span>
      <button type="button" class="quiet" aria-pressed={asMarkdown.value} onClick={toggleMarkdown}>
        Markdown
      </button>
      <button type="button" class="quiet" aria-pressed={withMarks.value} onClick={toggleMarks}>
        {t('marks')}
      </button>
      <button type="button" class="quiet" aria-label={t('previous')} onClick={() => step(-1)}>
        ↑ k
      </button>
      <button type="button" class="quiet" aria-label={t('next')} onClick={() => step(1)}>
        ↓ j
      </button>
      <button type="button" class="quiet" aria-label={t('close')} onClick={close}>
        ✕
      </button>
    </header>
  )
}

function Sample({ row }: { row: Row }) {
  const metadata = Object.entries(row.metadata ?? {})
  return (
    <section class="sample" aria-label={t('conversation')}>
      <Conversation messages={row.messages} />
      {row.expected !== undefined && row.expected !== null && (
        <section class="band expected">
          <h4>{t('column.expected')}</h4>
          <LongText
            text={
              typeof row.expected === 'string'
                ? row.expected
                : JSON.stringify(row.expected, null, 2)
            }
          />
        </section>
      )}
      {(row.tags?.length ?? 0) > 0 && (
        <div class="row-tags">
          {row.tags?.map((tag) => (
            <span key={tag} class="tag">
              {tag}
            </span>
          ))}
        </div>
      )}
      {metadata.length > 0 && (
        <dl class="ids">
          {metadata.map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>
                <bdi>{plainly(value).slice(0, 2000)}</bdi>
              </dd>
            </div>
          ))}
        </dl>
      )}
    </section>
  )
}

function Answers({ number, row }: { number: number; row: Row }) {
  const columns = board.value?.columns
  if (!columns) return null
  const slots = slotsOf.value
  const shown = repeatsOf(columns, slots[referenceCell.value] ?? [], number).slot
  const reference = row.results[shown] ?? null
  return (
    <section class={hasRepeats.value ? 'answers many' : 'answers'} aria-label={t('view.table')}>
      {tableCells.value.flatMap((cell) =>
        (slots[cell] ?? []).map((slot) => (
          <AnswerCard
            key={`${number} ${slot}`}
            row={row}
            number={number}
            slot={slot}
            reference={slot === shown ? null : reference}
          />
        )),
      )}
    </section>
  )
}

function Content({ number }: { number: number }) {
  const row = decodedRow(number)
  const body = useRef<HTMLDivElement>(null)
  useEffect(() => {
    want('drawer', [number, neighbour(1), neighbour(-1)])
    body.current?.scrollTo({ top: 0 })
    body.current?.focus({ preventScroll: true })
  }, [number, board.value])
  return (
    <>
      <Header number={number} />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so a keyboard has to reach it */}
      <div ref={body} class="drawer-body" tabIndex={0} role="region" aria-labelledby="drawer-title">
        {row ? (
          <>
            <Sample key={number} row={row} />
            <Answers number={number} row={row} />
          </>
        ) : (
          <p role="status">{t('loading')}</p>
        )}
      </div>
    </>
  )
}

export function Drawer() {
  const number = openRow.value
  const dialog = useDialog(number >= 0)
  return (
    <dialog
      ref={dialog}
      class="drawer"
      aria-labelledby="drawer-title"
      onClose={close}
      onKeyDown={onKey}
      onClick={(event) => {
        if (event.target === dialog.current) close()
      }}
    >
      {number >= 0 && <Content number={number} />}
    </dialog>
  )
}
