// The posts are the files of a syncd mirror in `posts/`, as they are.
import { defineCollection } from "astro:content";
import { glob } from "astro/loaders";
import { z } from "astro/zod";

const posts = defineCollection({
  // Drafts (`NAME.draft.md`, `+NAME.md`) are for the folder alone.
  loader: glob({ base: "./posts/com.whtwnd.blog.entry", pattern: ["*.md", "!*.draft.md", "!+*"] }),
  schema: z.object({
    title: z.string().default("Untitled"),
    // WhiteWind asks for none of these fields.
    createdAt: z.coerce.date().default(new Date(0)),
    visibility: z.enum(["public", "url", "author"]).default("public"),
  }),
});

export const collections = { posts };
