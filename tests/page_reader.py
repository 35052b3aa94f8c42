"""What a browser would see of a page: for the tests of the pages of `report` and `check`."""

from html.parser import HTMLParser


class Reader(HTMLParser):
    """Collects tags, and every address that a browser could ask for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.scripts: list[str] = []  # and blocks of data
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data):
        if self.tags and self.tags[-1] == "script" and len(self.scripts) < self.tags.count("script"):
            self.scripts.append(data)
        self.text += data
