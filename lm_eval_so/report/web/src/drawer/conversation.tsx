/** Messages in bands by role; parts of content, tool calls folded. */
import type { Message } from '../data/types'
import { plainly, toolCalls } from '../data/words'
import { type Key, t } from '../text'
import { Fold } from './fold'
import { LongText } from './long_text'
import { Markdown } from './markdown'
import { asMarkdown } from './state'

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool']

export function Text({ text }: { text: string }) {
  return asMarkdown.value ? <Markdown text={text} /> : <LongText text={text} />
}

function imageOf(part: Record<string, unknown>): string | null {
  const image = part.image_url
  const url = typeof image === 'string' ? image : (image as { url?: unknown } | undefined)?.url
  return typeof url === 'string' ? url : null
}

/** SVG is left out: what it shows can run nothing in an image, but why take it. */
const SHOWN_IMAGE = /^data:image\/(png|jpeg|gif|webp);base64,/

function Image({ url }: { url: string }) {
  if (SHOWN_IMAGE.test(url)) return <img class="shot" src={url} alt={t('image')} />
  return (
    <p class="not-shown">
      {t('image.not_loaded')} <bdi>{url.slice(0, 300)}</bdi>
    </p>
  )
}

function Part({ part }: { part: unknown }) {
  if (typeof part === 'string') return <Text text={part} />
  const given = (part ?? {}) as Record<string, unknown>
  if (typeof given.text === 'string') return <Text text={given.text} />
  const url = imageOf(given)
  if (url !== null) return <Image url={url} />
  return (
    <Fold label={plainly(given.type) || t('part')}>
      {() => <LongText text={JSON.stringify(part, null, 2)} />}
    </Fold>
  )
}

function Content({ content }: { content: unknown }) {
  if (content === null || content === undefined || content === '') return null
  if (typeof content === 'string') return <Text text={content} />
  if (!Array.isArray(content)) return <LongText text={JSON.stringify(content, null, 2)} />
  return (
    <>
      {content.map((part, at) => (
        <Part key={at} part={part} />
      ))}
    </>
  )
}

function indented(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2)
  } catch {
    return json
  }
}

export function ToolCalls({ calls }: { calls: readonly unknown[] | undefined }) {
  return (
    <>
      {toolCalls(calls).map((call, at) => (
        <Fold key={at} label={`${t('tool_call')}: ${call.name}`} note={call.arguments.slice(0, 80)}>
          {() => <pre class="code">{indented(call.arguments).slice(0, 20_000)}</pre>}
        </Fold>
      ))}
    </>
  )
}

function Band({ message, folded }: { message: Message; folded: boolean }) {
  const role = ROLES.includes(message.role) ? message.role : 'other'
  const name = role === 'other' ? message.role : t(`role.${role}` as Key)
  const label = message.name ? `${name} · ${message.name}` : name
  const body = () => (
    <>
      {typeof message.reasoning_content === 'string' && (
        <Fold label={t('reasoning')}>
          {() => <LongText text={String(message.reasoning_content)} />}
        </Fold>
      )}
      <Content content={message.content} />
      <ToolCalls calls={message.tool_calls} />
    </>
  )
  return (
    <section class={`band ${role}`} aria-label={label}>
      {folded ? (
        <Fold label={label} note={plainly(message.content).slice(0, 60)}>
          {body}
        </Fold>
      ) : (
        <>
          <h4>{label}</h4>
          {body()}
        </>
      )}
    </section>
  )
}

/** Results of tools are folded, as calls are. */
export function Conversation({ messages }: { messages: readonly Message[] }) {
  return (
    <div class="conversation">
      {messages.map((message, at) => (
        <Band key={at} message={message} folded={message.role === 'tool'} />
      ))}
    </div>
  )
}
