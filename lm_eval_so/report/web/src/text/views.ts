/** Words of the views: verdict, cells, charts, provenance, compare. */
export const english = {
  'compare.soon': 'Two runs of one dataset',
}

export const korean: Record<keyof typeof english, string> = {
  'compare.soon': '한 데이터셋의 두 실행',
}
