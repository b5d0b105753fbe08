// For Astro: src/content.config.ts. The posts are the files of a syncd mirror in `posts/`, as they are.
import { defineCollection, z } from "astro:content";
import { glob } from "astro/loaders";

const posts = defineCollection({
  // Drafts (`NAME.draft.md`, `+NAME.md`) are for the folder alone.
  loader: glob({ base: "./posts/com.whtwnd.blog.entry", pattern: ["*.md", "!*.draft.md", "!+*"] }),
  schema: z.object({
    title: z.string(),
    createdAt: z.coerce.date(),
    visibility: z.enum(["public", "url", "author"]).default("public"),
  }),
});

export const collections = { posts };
