/** The mark of datamon: layers of chunks. */
export const ICON_PATH = 'M2 3h12v3H2zm0 4h7v3H2zm8 0h4v3h-4zM2 11h3v3H2zm4 0h8v3H6z';
export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path fill="#2f9e6e" d="${ICON_PATH}"/></svg>`;
