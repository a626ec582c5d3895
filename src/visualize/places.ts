/** Countries by what people call them: ISO 3166 codes of two or three letters, and names in English and Korean as Unicode CLDR has them. */

/** alpha-2 and the letters of alpha-3, of the countries that the map has. */
const codes =
  'AE:ARE AF:AFG AL:ALB AM:ARM AO:AGO AR:ARG AT:AUT AU:AUS AZ:AZE BA:BIH BD:BGD BE:BEL BF:BFA BG:BGR BI:BDI BJ:BEN BN:BRN BO:BOL BR:BRA BS:BHS BT:BTN BW:BWA BY:BLR BZ:BLZ CA:CAN CD:COD CF:CAF CG:COG CH:CHE CI:CIV CL:CHL CM:CMR CN:CHN CO:COL CR:CRI CU:CUB CY:CYP CZ:CZE DE:DEU DJ:DJI DK:DNK DO:DOM DZ:DZA EC:ECU EE:EST EG:EGY EH:ESH ER:ERI ES:ESP ET:ETH FI:FIN FJ:FJI FK:FLK FR:FRA GA:GAB GB:GBR GE:GEO GH:GHA GL:GRL GM:GMB GN:GIN GQ:GNQ GR:GRC GT:GTM GW:GNB GY:GUY HN:HND HR:HRV HT:HTI HU:HUN ID:IDN IE:IRL IL:ISR IN:IND IQ:IRQ IR:IRN IS:ISL IT:ITA JM:JAM JO:JOR JP:JPN KE:KEN KG:KGZ KH:KHM KP:PRK KR:KOR KW:KWT KZ:KAZ LA:LAO LB:LBN LK:LKA LR:LBR LS:LSO LT:LTU LU:LUX LV:LVA LY:LBY MA:MAR MD:MDA ME:MNE MG:MDG MK:MKD ML:MLI MM:MMR MN:MNG MR:MRT MW:MWI MX:MEX MY:MYS MZ:MOZ NA:NAM NC:NCL NE:NER NG:NGA NI:NIC NL:NLD NO:NOR NP:NPL NZ:NZL OM:OMN PA:PAN PE:PER PG:PNG PH:PHL PK:PAK PL:POL PR:PRI PS:PSE PT:PRT PY:PRY QA:QAT RO:ROU RS:SRB RU:RUS RW:RWA SA:SAU SB:SLB SD:SDN SE:SWE SI:SVN SK:SVK SL:SLE SN:SEN SO:SOM SR:SUR SS:SSD SV:SLV SY:SYR SZ:SWZ TD:TCD TF:ATF TG:TGO TH:THA TJ:TJK TL:TLS TM:TKM TN:TUN TR:TUR TT:TTO TW:TWN TZ:TZA UA:UKR UG:UGA US:USA UY:URY UZ:UZB VE:VEN VN:VNM VU:VUT XK:XKX YE:YEM ZA:ZAF ZM:ZMB ZW:ZWE';

/** Names in use beside those of CLDR. */
const others: Readonly<Record<string, string>> = {
  'bosnia and herzegovina': 'BA',
  burma: 'MM',
  'czech republic': 'CZ',
  "cote d'ivoire": 'CI',
  eire: 'IE',
  england: 'GB',
  'great britain': 'GB',
  holland: 'NL',
  'ivory coast': 'CI',
  korea: 'KR',
  macedonia: 'MK',
  'north macedonia': 'MK',
  'republic of korea': 'KR',
  rsa: 'ZA',
  'russian federation': 'RU',
  'the netherlands': 'NL',
  turkey: 'TR',
  uae: 'AE',
  uk: 'GB',
  'united states of america': 'US',
  'viet nam': 'VN',
  대한민국: 'KR',
  한국: 'KR',
};

let known: Map<string, string> | null = null;

/** The ISO 3166 alpha-2 code of a country that the map has, or null. Names count in any case. */
export function countryOf(name: string): string | null {
  known ??= all();
  return known.get(name.trim().toLowerCase()) ?? null;
}

/** What a country is called in a language (BCP 47). */
export function countryName(code: string, locale: string): string {
  return new Intl.DisplayNames([locale], { type: 'region' }).of(code) ?? code;
}

function all(): Map<string, string> {
  const names = ['en', 'ko'].map((language) => new Intl.DisplayNames([language], { type: 'region' }));
  const map = new Map(Object.entries(others));
  for (const pair of codes.split(' ')) {
    const [two, three] = pair.split(':') as [string, string];
    for (const name of [two, three, ...names.map((each) => each.of(two) ?? two)]) map.set(name.toLowerCase(), two);
  }
  return map;
}
