/** The words of messages and answers. */
import type { Message, Result, Row } from './types'

interface Part {
  type?: unknown
  text?: unknown
}

/** The text of a message's content: a string, or the text parts of a list. */
export function contentText(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content))
    return content === null || content === undefined ? '' : JSON.stringify(content)
  return content
    .map((part: Part | string) => {
      if (typeof part === 'string') return part
      return typeof part?.text === 'string' ? part.text : ''
    })
    .filter(Boolean)
    .join('\n')
}

/** What the user asked last. */
export function lastUserTurn(messages: readonly Message[]): string {
  const turn = messages.findLast((message) => message.role === 'user') ?? messages.at(-1)
  return turn ? contentText(turn.content) : ''
}

/** A value of `expected` or metadata on one line. */
export function plainly(value: unknown): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

export interface ToolCall {
  name: string
  arguments: string
}

/** Names and arguments of tool calls, whatever else a server put into them. */
export function toolCalls(calls: readonly unknown[] | undefined): ToolCall[] {
  return (calls ?? []).map((call) => {
    const given = (call ?? {}) as {
      function?: { name?: unknown; arguments?: unknown }
      name?: unknown
    }
    const inner = given.function ?? (given as { name?: unknown; arguments?: unknown })
    return { name: plainly(inner.name) || '?', arguments: plainly(inner.arguments) }
  })
}

/** One line of what a result says: its text, or what it has instead. */
export function answerText(result: Result): string {
  if (result.text) return result.text
  if (result.refusal) return result.refusal
  return toolCalls(result.tool_calls)
    .map((call) => `${call.name}(${call.arguments})`)
    .join('\n')
}

export function expectedText(row: Row): string {
  return plainly(row.expected)
}
