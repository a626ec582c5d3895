import '@mantine/core/styles.css';
import './console.css';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import { firstSpeech } from './words/index.tsx';

createRoot(document.getElementById('root')!).render(<App speech={await firstSpeech()} />);
