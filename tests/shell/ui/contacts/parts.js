export const label = (text) => text.charAt(0).toUpperCase() + text.slice(1);
