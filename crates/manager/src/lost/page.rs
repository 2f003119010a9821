//! The recovery sheet as a PDF: its text, and codes that a camera reads. Fonts are those that every
//! viewer and printer has.

use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str};
use qrcode::{Color, EcLevel, QrCode};
use tintype_model::{Error, Result};
use zeroize::Zeroizing;

use super::sheet::{Code, Sheet};

/// A4, in points of 1/72 inch.
const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
const MARGIN: f32 = 50.0;
const FONT: f32 = 9.0;
const LEADING: f32 = 12.0;
/// Letters of that font in a line; each is 0.6 of its size wide.
const LETTERS: usize = 91;
const CODE: f32 = 150.0;
const CODES_IN_A_ROW: usize = 3;
/// A code, what it is of, and room.
const ROW: f32 = CODE + 2.0 * LEADING;
/// Light around a code, in its cells: without it no camera finds it.
const QUIET: f32 = 4.0;

/// One page, or more where there are many storages.
pub fn pdf(sheet: &Sheet) -> Result<Zeroizing<Vec<u8>>> {
    let mut pages = Pages::default();
    for line in sheet.text().lines() {
        pages.text(line);
    }
    for row in sheet.codes().chunks(CODES_IN_A_ROW) {
        pages.codes(row)?;
    }
    Ok(pages.finish())
}

#[derive(Default)]
struct Pages {
    done: Vec<Content>,
    /// The page that is written, and how far down it is.
    current: Option<(Content, f32)>,
}

impl Pages {
    /// A page with so much room.
    fn room(&mut self, height: f32) -> &mut (Content, f32) {
        if let Some((page, _)) = self.current.take_if(|(_, y)| *y - height < MARGIN) {
            self.done.push(page);
        }
        self.current.get_or_insert_with(|| (Content::new(), HEIGHT - MARGIN))
    }

    fn text(&mut self, line: &str) {
        // The encoding of the fonts knows Latin letters; the codes hold every name exactly.
        let latin = |letter: char| u8::try_from(u32::from(letter)).unwrap_or(b'?');
        let letters: Vec<u8> = line.chars().map(latin).collect();
        let pieces: Vec<&[u8]> = match letters.is_empty() {
            true => vec![&[]],
            false => letters.chunks(LETTERS).collect(),
        };
        for piece in pieces {
            let (page, y) = self.room(LEADING);
            *y -= LEADING;
            show(page, MARGIN, *y, piece);
        }
    }

    fn codes(&mut self, row: &[Code]) -> Result<()> {
        let (page, y) = self.room(ROW);
        *y -= ROW;
        let mut x = MARGIN;
        for code in row {
            show(page, x, *y + CODE + LEADING / 2.0, code.title.as_bytes());
            draw(page, x, *y, code)?;
            x += CODE + LEADING;
        }
        Ok(())
    }

    fn finish(mut self) -> Zeroizing<Vec<u8>> {
        self.done.extend(self.current.take().map(|(page, _)| page));
        let (catalog, tree, font) = (Ref::new(1), Ref::new(2), Ref::new(3));
        let count = i32::try_from(self.done.len()).unwrap_or(i32::MAX);
        let refs = |n: i32| (Ref::new(4 + 2 * n), Ref::new(5 + 2 * n));
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(tree);
        pdf.pages(tree).kids((0..count).map(|n| refs(n).0)).count(count);
        let mut courier = pdf.type1_font(font);
        courier.base_font(Name(b"Courier")).encoding_predefined(Name(b"WinAnsiEncoding"));
        courier.finish();
        for (n, content) in (0..count).zip(self.done) {
            let (id, contents) = refs(n);
            let mut page = pdf.page(id);
            page.media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT)).parent(tree).contents(contents);
            page.resources().fonts().pair(Name(b"F1"), font);
            page.finish();
            pdf.stream(contents, &content.finish());
        }
        Zeroizing::new(pdf.finish())
    }
}

fn show(page: &mut Content, x: f32, y: f32, letters: &[u8]) {
    page.begin_text().set_font(Name(b"F1"), FONT);
    page.next_line(x, y).show(Str(letters)).end_text();
}

fn draw(page: &mut Content, x: f32, y: f32, code: &Code) -> Result<()> {
    let made = QrCode::with_error_correction_level(code.text.as_bytes(), EcLevel::M);
    let made = made.map_err(|error| {
        Error::unsupported(format!("{}: too long for a code: {error}", code.title))
    })?;
    let cells = made.width();
    #[expect(clippy::cast_precision_loss, reason = "at most 177")]
    let (size, as_points) = (CODE / (cells as f32 + 2.0 * QUIET), |n: usize| n as f32);
    for (n, color) in made.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let left = x + (as_points(n % cells) + QUIET) * size;
            let below = y + CODE - (as_points(n / cells) + QUIET + 1.0) * size;
            page.rect(left, below, size, size);
        }
    }
    page.fill_nonzero();
    Ok(())
}
