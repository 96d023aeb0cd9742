/** A request as a command for a shell; the key is a variable. */
import type { Cell, Message } from '../data/types'

interface Wire {
  path: string
  key: string
  /** The header of the key. */
  header: (variable: string) => string
  headers: readonly string[]
}

const WIRES: Readonly<Record<string, Wire>> = {
  openai: {
    path: '/chat/completions',
    key: 'OPENAI_API_KEY',
    header: (variable) => `Authorization: Bearer $${variable}`,
    headers: [],
  },
  anthropic: {
    path: '/v1/messages',
    key: 'ANTHROPIC_API_KEY',
    header: (variable) => `x-api-key: $${variable}`,
    headers: ['anthropic-version: 2023-06-01'],
  },
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
const record = (value: unknown) => (value ?? {}) as Record<string, unknown>
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/

/** Anthropic's API has the system text beside the messages. */
function body(
  kind: string,
  config: Record<string, unknown>,
  messages: readonly Message[],
): unknown {
  const options = record(config.backend_options)
  const parameters = { ...record(options.request_defaults), ...record(config.parameters) }
  if (kind !== 'anthropic') return { model: config.model, messages, ...parameters }
  const system = messages
    .filter(({ role }) => role === 'system' || role === 'developer')
    .map(({ content }) => (typeof content === 'string' ? content : JSON.stringify(content)))
  return {
    model: config.model,
    ...(system.length > 0 ? { system: system.join('\n\n') } : {}),
    messages: messages.filter(({ role }) => role !== 'system' && role !== 'developer'),
    ...parameters,
  }
}

/**
 * Where a question was sent: the first of the addresses that the run names. Null where it has only
 * a name for them. Never a default: a private question must not go to another host.
 */
function urlOf(cell: Cell, path: string): string | null {
  const options = record(cell.run_config.backend_options)
  const known = [cell.identity?.endpoint, options.base_url].flat().map(String)
  const address = known.flatMap((one) => one.split(' ')).find((one) => /^https?:\/\//.test(one))
  if (!address) return null
  const [before = '', asked = ''] = address.split('?', 2)
  const query = new URLSearchParams(
    Object.entries(record(options.default_query)).flatMap(([name, value]) =>
      value === null ? [] : [[name, String(value)]],
    ),
  )
  for (const [name, value] of new URLSearchParams(asked)) query.set(name, value)
  const base = before.replace(/\/$/, '')
  const url = base.endsWith(path) ? base : base + path
  return query.size > 0 ? `${url}?${query}` : url
}

/** Null where it is not known how, or where, the backend was asked. */
export function curlOf(cell: Cell, messages: readonly Message[]): string | null {
  const config = cell.run_config
  const kind = String(config.backend)
  const wire = Object.hasOwn(WIRES, kind) ? WIRES[kind] : undefined
  const options = record(config.backend_options)
  const url = wire && urlOf(cell, wire.path)
  if (!url || options.wire === 'responses') return null
  const named = String(options.api_key_env ?? wire.key)
  const variable = VARIABLE.test(named) ? named : wire.key
  const header = options.api_key_header
    ? `${options.api_key_header}: $${variable}`
    : wire.header(variable)
  const lines = [
    `curl ${quoted(url)}`,
    `-H "${header.replace(/["\\`]/g, '')}"`,
    ...wire.headers.map((one) => `-H ${quoted(one)}`),
    `-H ${quoted('Content-Type: application/json')}`,
    `-d ${quoted(JSON.stringify(body(kind, config, messages)))}`,
  ]
  return lines.join(' \\\n  ')
}
