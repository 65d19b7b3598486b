/** Tags as a person types them. */

/** @param {string} text tags between commas @returns {string[]} each once */
export const tagsIn = (text) => [...new Set(text.split(',').map((tag) => tag.trim()).filter(Boolean))];
