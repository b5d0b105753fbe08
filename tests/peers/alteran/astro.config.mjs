import alteran from '@alteran/astro'
import cloudflare from '@astrojs/cloudflare'
import { defineConfig } from 'astro/config'

export default defineConfig({
  output: 'server',
  adapter: cloudflare({ mode: 'advanced', imageService: 'passthrough' }),
  integrations: [alteran({})],
})
