/** Words of the frame, filters, table and drawer. */
export const english = {
  'view.table': 'Answers',
  'view.charts': 'Charts',
  'view.provenance': 'Provenance',
  'view.compare': 'Compare',
  loading: 'Loading…',
  failed: 'This page cannot be shown: {why}',
}

export const korean: Record<keyof typeof english, string> = {
  'view.table': '답변',
  'view.charts': '차트',
  'view.provenance': '출처',
  'view.compare': '비교',
  loading: '불러오는 중…',
  failed: '이 페이지를 표시할 수 없습니다: {why}',
}
