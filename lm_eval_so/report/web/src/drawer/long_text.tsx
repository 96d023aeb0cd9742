/** Text of any length: a long one is cut until a person asks for all of it. */
import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { Piece } from '../data/difference'
import { count } from '../format'
import { t } from '../text'

/** Characters that are drawn at once. */
export const CUT = 20_000

/** Parts of a long text that the browser lays out one by one, as they are scrolled to. */
function parts(text: string): string[] {
  const found: string[] = []
  for (let from = 0; from < text.length; ) {
    const line = text.lastIndexOf('\n', from + CUT) + 1
    let to = line > from ? line : from + CUT
    // Never between the halves of a character outside the basic plane.
    const code = text.charCodeAt(to - 1)
    if (to < text.length && code >= 0xd800 && code < 0xdc00) to++
    found.push(text.slice(from, to))
    from = to
  }
  return found
}

export function LongText({ text, pieces }: { text: string; pieces?: readonly Piece[] | null }) {
  const all = useSignal(false)
  useEffect(() => {
    all.value = false
  }, [text])
  if (text.length <= CUT) {
    return (
      <div class="prose" dir="auto">
        {pieces ? <Marked pieces={pieces} /> : text}
      </div>
    )
  }
  if (all.value) {
    return (
      <div class="prose" dir="auto">
        {parts(text).map((part, at) => (
          <div key={at} class="part">
            {part}
          </div>
        ))}
      </div>
    )
  }
  return (
    <div class="prose" dir="auto">
      {parts(text)[0]}…{' '}
      <button
        type="button"
        class="link"
        onClick={() => {
          all.value = true
        }}
      >
        {t('show.all', { n: count(text.length) })}
      </button>
    </div>
  )
}

function Marked({ pieces }: { pieces: readonly Piece[] }) {
  return (
    <>
      {pieces.map((piece, at) => {
        if (piece.kind === 'same') return piece.text
        return piece.kind === 'gone' ? (
          <del key={at}>{piece.text}</del>
        ) : (
          <mark key={at}>{piece.text}</mark>
        )
      })}
    </>
  )
}
