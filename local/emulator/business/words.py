"""The words that products are named and described with, in ten languages."""

BRANDS = (
    "Adventure Works", "Alpine", "Aurora", "Bellows", "Blue Yonder", "Coho", "Datum", "Fourth Coffee", "Humongous",
    "Lamna", "Liberty", "Litware", "Lucerne", "Lumen", "Margie's", "Munson's", "Nod", "Olive", "Parnell", "Proseware",
    "Relecloud", "Southridge", "Tailspin", "Trey", "VanArsdel", "Wide World", "Wingtip", "Woodgrove",
)  # fmt: skip

PUBLISHERS = (
    ("Litware, Inc.", "https://www.litware.example", "4n6qztpf8c3ta"),
    ("Tailspin Toys", "https://tailspin.example/apps", "b7d0ekmhs5w2r"),
    ("Proseware GmbH", "https://proseware.example", "kz24r0jvq9m1e"),
    ("Éditions Lumen", "https://lumen.example/fr", "t3hwbn1yf6pxg"),
    ("株式会社リレクラウド", "https://relecloud.example/ja", "q8s5cmz0d7v4k"),
    ("Woodgrove Software", "", "2xj9gf3rta6nw"),
)

CATEGORIES = (
    "Productivity", "Business", "Developer tools", "Education", "Utilities & tools", "Books & reference",
    "Photo & video", "Navigation & maps", "Security", "Health & fitness",
)  # fmt: skip

# One line a language; the words of one column mean the same.
NOUNS: dict[str, tuple[str, ...]] = {
    language: tuple(words.split("|"))
    for language, words in {
        "en-us": "Notes|Calculator|Translator|Weather|Photos|Maps|Calendar|Reader|Expenses|Whiteboard|Inventory",
        "fr-fr": "Notes|Calculatrice|Traducteur|Météo|Photos|Cartes|Calendrier|Lecteur|Dépenses|Tableau|Inventaire",
        "de-de": "Notizen|Rechner|Übersetzer|Wetter|Fotos|Karten|Kalender|Leser|Ausgaben|Zeichentafel|Bestand",
        "ja-jp": "ノート|電卓|翻訳|天気|フォト|マップ|カレンダー|リーダー|経費|ホワイトボード|在庫",
        "es-es": "Notas|Calculadora|Traductor|El tiempo|Fotos|Mapas|Calendario|Lector|Gastos|Pizarra|Inventario",
        "it-it": "Note|Calcolatrice|Traduttore|Meteo|Foto|Mappe|Calendario|Lettore|Spese|Lavagna|Inventario",
        "pt-br": "Anotações|Calculadora|Tradutor|Clima|Fotos|Mapas|Calendário|Leitor|Despesas|Quadro branco|Estoque",
        "pl-pl": "Notatki|Kalkulator|Tłumacz|Pogoda|Zdjęcia|Mapy|Kalendarz|Czytnik|Wydatki|Tablica|Magazyn",
        "zh-cn": "笔记|计算器|翻译|天气|照片|地图|日历|阅读器|费用|白板|库存",
        "ar-sa": "ملاحظات|حاسبة|مترجم|الطقس|الصور|خرائط|التقويم|قارئ|المصروفات|السبورة|المخزون",
    }.items()
}

LANGUAGES = tuple(NOUNS)
FALLBACK_LANGUAGE = "en-us"

# What a description is made of: an opening with the name, and sentences to follow.
OPENINGS: dict[str, str] = {
    "en-us": "{name} keeps your work at hand, wherever you are.",
    "fr-fr": "{name} garde votre travail à portée de main, où que vous soyez.",
    "de-de": "{name} hält Ihre Arbeit griffbereit, wo immer Sie sind.",
    "ja-jp": "{name} があれば、どこにいても仕事を手元に置いておけます。",
    "es-es": "{name} mantiene su trabajo a mano, esté donde esté.",
    "it-it": "{name} tiene il lavoro a portata di mano, ovunque siate.",
    "pt-br": "{name} mantém seu trabalho à mão, onde quer que você esteja.",
    "pl-pl": "{name} trzyma twoją pracę pod ręką, gdziekolwiek jesteś.",
    "zh-cn": "{name} 让您的工作随时随地触手可及。",
    "ar-sa": "يبقي {name} عملك في متناول يدك أينما كنت.",
}
SENTENCES: dict[str, tuple[str, ...]] = {
    "en-us": (
        "Share with your team.",
        "Works offline & online.",
        'Ask for "version 2".',
        "Signs in with work accounts.",
    ),
    "fr-fr": ("Partagez avec votre équipe.", "Fonctionne aussi hors connexion.", "Connexion professionnelle."),
    "de-de": ("Teilen Sie mit Ihrem Team.", "Funktioniert auch offline.", "Anmeldung mit Geschäftskonto."),
    "ja-jp": ("チームと共有できます。", "オフラインでも使えます。", "職場アカウントでサインインします。"),
    "es-es": ("Comparta con su equipo.", "Funciona sin conexión.", "Inicie sesión con su cuenta de trabajo."),
    "it-it": ("Condividete con il team.", "Funziona anche offline.", "Accesso con account aziendale."),
    "pt-br": ("Compartilhe com sua equipe.", "Funciona sem conexão.", "Entre com a conta corporativa."),
    "pl-pl": ("Udostępniaj zespołowi.", "Działa także offline.", "Logowanie kontem służbowym."),
    "zh-cn": ("与团队共享。", "可脱机使用。", "使用工作帐户登录。"),
    "ar-sa": ("شارك مع فريقك.", "يعمل دون اتصال.", "تسجيل الدخول بحساب العمل."),
}
