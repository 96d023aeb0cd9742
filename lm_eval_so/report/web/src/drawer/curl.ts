/** A request as a command for a shell; the key is a variable. */
import type { Cell, Message } from '../data/types'

interface Wire {
  base: string
  path: string
  key: string
  /** The header of the key. */
  header: (variable: string) => string
  headers: readonly string[]
}

const WIRES: Readonly<Record<string, Wire>> = {
  openai: {
    base: 'https://api.openai.com/v1',
    path: '/chat/completions',
    key: 'OPENAI_API_KEY',
    header: (variable) => `Authorization: Bearer $${variable}`,
    headers: [],
  },
  anthropic: {
    base: 'https://api.anthropic.com',
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

/** Null where the backend speaks no HTTP of its own that is known here. */
export function curlOf(cell: Cell, messages: readonly Message[]): string | null {
  const config = cell.run_config
  const kind = String(config.backend)
  const wire = Object.hasOwn(WIRES, kind) ? WIRES[kind] : undefined
  const options = record(config.backend_options)
  if (!wire || options.wire === 'responses') return null
  const named = String(options.api_key_env ?? wire.key)
  const variable = VARIABLE.test(named) ? named : wire.key
  const header = options.api_key_header
    ? `${options.api_key_header}: $${variable}`
    : wire.header(variable)
  const query = new URLSearchParams(
    Object.entries(record(options.default_query)).map(([name, value]) => [name, String(value)]),
  ).toString()
  const base =
    typeof options.base_url === 'string' ? options.base_url.replace(/\/$/, '') : wire.base
  const url = base + wire.path + (query ? `?${query}` : '')
  const lines = [
    `curl ${quoted(url)}`,
    `-H "${header.replace(/["\\`]/g, '')}"`,
    ...wire.headers.map((one) => `-H ${quoted(one)}`),
    `-H ${quoted('Content-Type: application/json')}`,
    `-d ${quoted(JSON.stringify(body(kind, config, messages)))}`,
  ]
  return lines.join(' \\\n  ')
}
