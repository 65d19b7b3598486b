/** What is done to the selected runs: tags, deletion with undo. */
import {send} from '../core/api.js';
import {dialog} from '../core/dialog.js';
import {el} from '../core/dom.js';
import {toast} from '../core/toast.js';
import {tagsIn} from './tags.js';

const MOST = 500; // runs of one request

async function change(ids, changes) {
  for (let from = 0; from < ids.length; from += MOST) await send('PATCH', '/runs', {ids: ids.slice(from, from + MOST), ...changes});
}

const counted = (ids) => (ids.length === 1 ? 'One run' : `${ids.length} runs`);

/** @param {string[]} ids @param {() => void} after */
export function addTags(ids, after) {
  const field = el('input', {id: 'new-tags', placeholder: 'baseline, paper', autocomplete: 'off'});
  dialog({title: `Add tags to ${counted(ids).toLowerCase()}`, body: el('div', {class: 'form-row'}, el('label', {for: 'new-tags'}, 'Tags'), field), actions: [{text: 'Cancel', kind: 'plain'}, {text: 'Add', run: async () => {
    const tags = tagsIn(field.value);
    if (!tags.length) throw new Error('Write a tag, or several between commas.');
    await change(ids, {add_tags: tags});
    after();
  }}]});
  field.focus();
}

/** @param {string[]} ids @param {() => void} after called once they are gone, and once they are back */
export async function remove(ids, after) {
  try {
    await change(ids, {deleted: true});
  } catch (error) {
    toast(error.message);
    return;
  }
  after();
  toast(`${counted(ids)} deleted`, {seconds: 10, action: 'Undo', onAction: () => change(ids, {deleted: false}).then(after, ({message}) => toast(message))});
}
