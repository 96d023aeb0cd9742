/** Markdown of models: no HTML of theirs, no links, no images. */
import createDOMPurify from 'dompurify'
import { Marked, type Tokens } from 'marked'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { CUT, LongText } from './long_text'

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

// HTML in an answer is shown as it is written: no parser sees a tag, style or handler of a model's.
const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }: Tokens.HTML | Tokens.Tag) => escaped(text),
    link({ href, tokens }: Tokens.Link) {
      const text = this.parser.parseInline(tokens)
      return `${text} <code>${escaped(href)}</code>`
    },
    image: ({ href, text }: Tokens.Image) => `<code>${escaped(`![${text}](${href})`)}</code>`,
    checkbox: ({ checked }: Tokens.Checkbox) => (checked ? '☑ ' : '☐ '),
  },
})

const TAGS = 'p br hr em strong del code pre ul ol li blockquote table thead tbody tr th td'
const ALLOWED = [...TAGS.split(' '), 'h1', 'h2', 'h3', 'h4', 'h5', 'h6']
const purify = createDOMPurify(window)

function fragment(text: string): DocumentFragment {
  return purify.sanitize(marked.parse(text, { async: false }), {
    ALLOWED_TAGS: ALLOWED,
    ALLOWED_ATTR: ['align', 'start'],
    RETURN_DOM_FRAGMENT: true,
  })
}

export function Markdown({ text }: { text: string }) {
  const box = useRef<HTMLDivElement>(null)
  const isLong = text.length > CUT
  useLayoutEffect(() => {
    if (!isLong) box.current?.replaceChildren(fragment(text))
  }, [text, isLong])
  return isLong ? <LongText text={text} /> : <div ref={box} class="markdown" dir="auto" />
}
