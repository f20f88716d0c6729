"""duplicates.html: groups of images that are the same or look alike, with thumbnails."""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from src.dataset.duplicates import Duplicate, are_identical, labels_conflict
from src.reports.gallery import relative_url
from src.reports.html import write_page
from src.reports.thumbnails import THUMBNAILS, write_thumbnails
from src.text import counted

_GROUPS, _IMAGES = 500, 12  # shown; the table has all


def write_duplicates(
    page: Path, directory: Path, groups: Sequence[Sequence[Duplicate]], *, images: int
) -> None:
    """Write the page, and thumbnails beside it.

    The most urgent groups come first, in each the image to compare with; `images` were looked at.
    """
    shown = [group[:_IMAGES] for group in groups[:_GROUPS]]
    members = [member for group in shown for member in group]
    files, contents = [directory / m.path for m in members], [m.sha256 for m in members]
    names = write_thumbnails(page.parent / THUMBNAILS, files, contents)
    links = [f"{THUMBNAILS}/{name}" if name else "" for name in names]
    thumbnail = dict(zip((member.path for member in members), links, strict=True))
    start = relative_url(directory, page.parent)
    write_page(
        page,
        "duplicates.html",
        title="Duplicate images",
        subtitle=f"{counted(images, 'image')} of {directory.resolve().name}: "
        f"{counted(len(groups), 'group')} of "
        f"duplicates; {sum(len(group) - 1 for group in groups):,} more than needed",
        conflict=sum(map(labels_conflict, groups)),
        hidden=len(groups) - len(shown),
        groups=[
            {
                "total": len(whole),
                "conflict": labels_conflict(whole),
                "kind": "exact" if are_identical(whole) else "near",
                "images": [
                    {
                        "path": member.path,
                        "url": f"{start}/{quote(member.path)}",
                        "thumbnail": thumbnail[member.path],
                        "size": f"{member.size / 1000:,.0f} kB",
                        "label": {"keep": "kept", "delete": "deleted"}.get(member.label, ""),
                        "same": _same(member, group[0]),
                    }
                    for member in group
                ],
            }
            for whole, group in zip(groups, shown, strict=False)
        ],
    )


def _same(member: Duplicate, first: Duplicate) -> str:
    if member is first:
        return "largest"
    identical = member.sha256 == first.sha256
    return "identical" if identical else f"{member.different_bits} of 256 bits differ"
