/** Put a text on the clipboard, and say so. */
import { toast } from "./toast.js";

export async function copy(text, told = "Copied") {
  try {
    await navigator.clipboard.writeText(text);
    toast(told, { seconds: 2 });
  } catch {
    toast("This browser does not let pages copy. Select the text instead.");
  }
}
